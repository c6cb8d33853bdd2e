//! With how little a violation still occurs. The seed repeats the world and the faults, but not to the microsecond: what
//! is left out counts as irrelevant only if the violation occurs without it.

use crate::chaos::Chaos;
use crate::soak::{self, Options};

/// Leaves out one kind of fault or blow after the other as long as a run still violates, and prints what is needed.
pub(crate) fn shrink(options: &Options, publications: u64) -> Result<(), String> {
    let mut least = Options { publications: publications * 3 / 2 + 100, ..options.clone() };
    let mut shortest = None;
    for name in Chaos::ingredients() {
        let mut less = least.clone();
        if !less.without.insert(name.clone()) {
            continue;
        }
        let result = soak::run(&less)?;
        println!("soak: without {name}: {}", if result.report.is_some() { "still" } else { "not any more" });
        if let Some(report) = result.report {
            least = less;
            shortest = Some(report);
        }
    }
    let needed = Chaos::ingredients().into_iter().filter(|name| !least.without.contains(name)).collect::<Vec<_>>();
    println!("soak: needed: {}", if needed.is_empty() { "nothing".to_owned() } else { needed.join(" ") });
    if let Some(report) = shortest {
        println!("{report}");
    }
    Ok(())
}
