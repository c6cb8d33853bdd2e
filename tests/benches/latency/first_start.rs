//! Measures a start without a file.

use std::time::{Duration, Instant};

use simaws::{Options, SimAws};

use crate::file::Watched;
use crate::program::{Outcome, Program, binary};
use crate::targets::targets;
use crate::world::{self, Shape};

/// The parts of the targets whose times are measured, in percent.
pub(crate) const PARTS: [usize; 3] = [50, 90, 100];

const DEADLINE: Duration = Duration::from_secs(300);

/// Returns the times from the start of the program until each part of the targets is in the file.
pub(crate) fn measure(shape: Shape, latency: Duration) -> Outcome<[Duration; 3]> {
    let place = tempfile::tempdir()?;
    let path = place.path().join("ecs_file_sd.yml");
    let aws = SimAws::start_blocking(world::of(shape))?;
    aws.set_options(Options { latency, quotas: true, ..Options::default() });
    let all = aws.change(|world| targets(world));
    let start = Instant::now();
    let program = Program::start(&binary()?, &aws.url(), &path, &[])?;
    let mut file = Watched::new(&path);
    file.wait_until("all targets", start + DEADLINE, |file| file.targets == all)?;
    program.stop()?;
    let mut times: Vec<Instant> = file.came.into_values().collect();
    times.sort_unstable();
    Ok(PARTS.map(|percent| {
        let nth = (times.len() * percent).div_ceil(100);
        nth.checked_sub(1).map_or(Duration::ZERO, |nth| times[nth].duration_since(start))
    }))
}
