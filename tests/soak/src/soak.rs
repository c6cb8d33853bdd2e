//! A run: storms, and calm in between.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::{self, JoinHandle, park_timeout};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use simaws::SimAws;

use crate::chaos::{Blow, CLOCK, Chaos};
use crate::clock::Clock;
use crate::history::{About, Violation};
use crate::measure::Measured;
use crate::oracle::Oracle;
use crate::program::{Place, Program, binaries};
use crate::random::Random;
use crate::refreshes::{Disturbs, How};
use crate::settle::settle;
use crate::setup::Setup;
use crate::shared::Shared;
use crate::world::{Fleet, QUEUE, Told};
use crate::{clients, readers};

/// The time between two changes of the world: thousands a minute.
const STEP: Duration = Duration::from_millis(10);

/// After how many publications the program is left alive, so that its size can be measured: a share in hundredths, or in a
/// long run a number.
const LAST_LIFE: (u64, u64) = (30, 2000);

/// After how many publications the progress is printed.
const PROGRESS: u64 = 1000;

/// The options of a run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) publications: u64,
    /// The kinds of fault and blow that are left out.
    pub(crate) without: BTreeSet<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 7, publications: 700, without: BTreeSet::new() }
    }
}

/// What came of a run.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) publications: u64,
    injected: u64,
    lives: usize,
    checks: u64,
    /// Versions of the file that were seen, and those parsed strictly; responses and attacks.
    seen: [u64; 4],
    refreshes: u64,
    took: Duration,
    slopes: String,
    /// A violation, with what led to it.
    pub(crate) report: Option<String>,
}

impl Outcome {
    /// Returns the line of the result.
    pub(crate) fn line(&self, options: &Options) -> String {
        let Self { publications, injected, lives, checks, refreshes, took, slopes, .. } = self;
        let [versions, parsed, responses, attacks] = self.seen;
        let violations = u8::from(self.report.is_some());
        format!(
            "soak: seed {}: {publications} publications of {refreshes} refreshes in {lives} lives and {:.0} s, {injected} \
             faults injected, {checks} checks of {versions} versions ({parsed} parsed strictly), {responses} responses, \
             {attacks} attacks, {violations} violations; {slopes}",
            options.seed,
            took.as_secs_f64()
        )
    }
}

/// Runs until there have been enough publications, or one violates.
pub(crate) fn run(options: &Options) -> Result<Outcome, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let start = Instant::now();
    let mut soak = Soak::start(options, directory.path())?;
    let threads = soak.threads(options.seed);
    let result = soak.rounds(options).and_then(|()| soak.finish());
    soak.shared.end();
    let seen = threads.map(|thread| thread.join().unwrap_or_default());
    let result = result.and_then(|()| soak.shared.violation());
    let (slopes, flat) = soak.measured.slopes();
    let result = result.and_then(|()| if flat { Ok(()) } else { Err(Violation::general("the program grows")) });
    let oracle = soak.shared.oracle();
    let report = result.err().map(|violation| {
        let log = soak.program.as_ref().map(Program::lines).unwrap_or_default();
        let Violation { what, about } = violation;
        let history = oracle.history.about(&about);
        format!(
            "VIOLATION (seed {}): {what}\nwhat happened there last:\n{history}the program's log:\n{log}",
            options.seed
        )
    });
    Ok(Outcome {
        publications: soak.shared.publications(),
        injected: soak.chaos.injected,
        lives: oracle.refreshes.setup().life,
        checks: oracle.checks,
        seen,
        refreshes: oracle.refreshes.ended,
        took: start.elapsed(),
        slopes,
        report,
    })
}

/// A disturbance of the process that ends after some steps.
struct Lasting {
    window: u64,
    steps: usize,
}

struct Soak {
    shared: Arc<Shared>,
    fleet: Fleet,
    chaos: Chaos,
    random: Random,
    place: Place,
    /// Absent only between two lives.
    program: Option<Program>,
    stopped: Option<Lasting>,
    full: Option<Lasting>,
    is_last_life: bool,
    measured: Measured,
}

impl Soak {
    fn start(options: &Options, directory: &std::path::Path) -> Result<Self, String> {
        let aws = SimAws::start_blocking(Fleet::empty_world()).map_err(|error| error.to_string())?;
        // More than one page of tasks, and credentials that expire again and again.
        let (page_size, lifetime) = (Some(40), Duration::from_secs(15));
        aws.set_options(simaws::Options { page_size, credentials_lifetime: lifetime, ..simaws::Options::default() });
        let (file, setup, mut fleet) = (directory.join("targets.yml"), Setup::first(), Fleet::new(options.seed));
        let mut oracle = Oracle::new(setup.clone());
        fleet.grow(&mut Told { aws: &aws, oracle: &mut oracle });
        let (url, queue) = (aws.url(), aws.queue(QUEUE));
        let shared = Arc::new(Shared::new(aws, file.clone(), oracle));
        let clock = if options.without.contains(CLOCK) { None } else { Clock::new()? };
        let publications = shared.publications.clone();
        let place = Place { binaries: binaries()?, aws: url, file, queue, clock, publications };
        let mut without = options.without.clone();
        if place.clock.is_none() && without.insert(CLOCK.to_owned()) {
            println!("soak: the wall clock does not jump, because libfaketime is missing");
        }
        let program = Some(Program::start(setup, &place)?);
        Ok(Self {
            shared,
            fleet,
            chaos: Chaos::new(options.seed, without),
            random: Random::new(options.seed.rotate_left(32)),
            place,
            program,
            stopped: None,
            full: None,
            is_last_life: false,
            measured: Measured::default(),
        })
    }

    /// Starts the readers and the clients.
    fn threads(&self, seed: u64) -> [JoinHandle<u64>; 4] {
        let [a, b, c, d] = [(); 4].map(|()| Arc::clone(&self.shared));
        [
            thread::spawn(move || readers::follow(&a)),
            thread::spawn(move || readers::parse(&b)),
            thread::spawn(move || clients::ask_politely(&c, seed)),
            thread::spawn(move || clients::harass(&d, seed)),
        ]
    }

    fn rounds(&mut self, options: &Options) -> Result<(), Violation> {
        // The first refresh learns everything; until then there is no file.
        self.calm()?;
        let mut next = PROGRESS;
        while self.shared.publications() < options.publications || !self.measured.is_enough() {
            self.storm()?;
            self.calm()?;
            if self.shared.publications() >= next {
                next += PROGRESS;
                let (publications, injected) = (self.shared.publications(), self.chaos.injected);
                println!("soak: {publications} publications, {injected} faults; {}", self.measured.slopes().0);
            }
            let last_life = (options.publications * LAST_LIFE.0 / 100).min(LAST_LIFE.1);
            if !self.is_last_life && self.shared.publications() >= last_life {
                self.is_last_life = true;
                let setup = self.setup().last();
                self.restart(Program::terminate, setup)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Violation> {
        self.shared.disturb();
        self.shared.set_web(None);
        self.program.take().map_or(Ok(()), Program::terminate)
    }

    fn storm(&mut self) -> Result<(), Violation> {
        for _ in 0..self.random.between(100, 350) {
            park_timeout(STEP);
            self.shared.violation()?;
            let blow = {
                let (shared, mut oracle) = (&self.shared, self.shared.oracle());
                self.fleet.step(&mut Told { aws: &shared.aws, oracle: &mut oracle });
                self.chaos.step(&shared.aws, &mut oracle)
            };
            self.end_lasting(false);
            if let Some(blow) = blow {
                self.strike(blow)?;
            }
            let program = self.program()?;
            program.check()?;
            let address = program.log().web;
            self.shared.set_web(address);
        }
        Ok(())
    }

    /// Ends everything that disturbs, and waits until all is right.
    fn calm(&mut self) -> Result<(), Violation> {
        self.shared.set_calm(true);
        self.end_lasting(true);
        self.chaos.calm(&self.shared.aws, &mut self.shared.oracle());
        let Self { shared, fleet, program, .. } = self;
        let program = program.as_mut().ok_or_else(|| Violation::general("there is no program"))?;
        let sample = settle(shared, fleet, program)?;
        self.measured.add(sample);
        self.shared.set_calm(false);
        Ok(())
    }

    fn strike(&mut self, blow: Blow) -> Result<(), Violation> {
        self.shared.oracle().history.add(About::default(), format!("{blow:?}"));
        match blow {
            Blow::Kill | Blow::Terminate if self.is_last_life => Ok(()),
            Blow::Kill => {
                let setup = self.setup().next(&mut self.random);
                self.restart(Program::kill, setup)
            }
            Blow::Terminate => {
                let setup = self.setup().next(&mut self.random);
                self.restart(Program::terminate, setup)
            }
            Blow::Stop(steps) if self.stopped.is_none() => {
                let window = self.begin(How::Stop);
                self.shared.disturb();
                self.program()?.send(Signal::STOP);
                self.stopped = Some(Lasting { window, steps });
                Ok(())
            }
            Blow::FullDisk(steps) if self.full.is_none() => {
                let window = self.begin(How::Disk);
                self.program()?.set_full_disk(true).map_err(Violation::general)?;
                self.full = Some(Lasting { window, steps });
                Ok(())
            }
            Blow::Clock(seconds) => {
                self.place.clock.as_ref().map_or(Ok(()), |clock| clock.set(seconds)).map_err(Violation::general)
            }
            Blow::Stop(_) | Blow::FullDisk(_) => Ok(()),
        }
    }

    fn begin(&self, how: How) -> u64 {
        self.shared.oracle().refreshes.begin(Disturbs { scope: None, cluster: None, how })
    }

    /// Counts a step, and ends what has lasted long enough, or everything.
    fn end_lasting(&mut self, all: bool) {
        let is_over = |lasting: &mut Lasting| {
            lasting.steps = lasting.steps.saturating_sub(1);
            all || lasting.steps == 0
        };
        if let Some(stopped) = self.stopped.take_if(is_over) {
            self.program.iter().for_each(|program| program.send(Signal::CONT));
            self.shared.disturb();
            self.shared.oracle().refreshes.end(stopped.window);
        }
        if let Some(full) = self.full.take_if(is_over) {
            // It fails only if the program has exited, which shows soon.
            self.program.iter().for_each(|program| drop(program.set_full_disk(false)));
            self.shared.oracle().refreshes.end(full.window);
        }
    }

    fn restart(&mut self, end: fn(Program) -> Result<(), Violation>, setup: Setup) -> Result<(), Violation> {
        self.shared.disturb();
        self.shared.set_web(None);
        self.end_lasting(true);
        if let Some(program) = self.program.take() {
            end(program)?;
        }
        self.measured.clear();
        self.shared.oracle().begin_life(setup.clone());
        self.program = Some(Program::start(setup, &self.place).map_err(Violation::general)?);
        self.shared.disturb();
        Ok(())
    }

    fn setup(&self) -> Setup {
        self.shared.oracle().refreshes.setup().clone()
    }

    fn program(&mut self) -> Result<&mut Program, Violation> {
        self.program.as_mut().ok_or_else(|| Violation::general("there is no program"))
    }
}
