//! The flags to compare.

/// A configuration of the program.
#[derive(Clone, Copy)]
pub(crate) struct Configuration {
    pub(crate) name: &'static str,
    pub(crate) interval: &'static str,
    pub(crate) watch: bool,
    pub(crate) events: bool,
}

impl Configuration {
    /// The configurations of the benchmark. The first one does what the original program does.
    pub(crate) const ALL: [Self; 4] = [
        Self { name: "1m without watch", interval: "1m", watch: false, events: false },
        Self { name: "1m", interval: "1m", watch: true, events: false },
        Self { name: "auto", interval: "auto", watch: true, events: false },
        Self { name: "events, 5m", interval: "5m", watch: true, events: true },
    ];

    /// Returns its flags. `queue` is the URL of the queue of events.
    pub(crate) fn flags(&self, queue: &str) -> Vec<String> {
        let mut flags =
            vec![format!("-config.scrape-interval={}", self.interval), format!("-config.watch={}", self.watch)];
        if self.events {
            flags.push(format!("-config.events-queue={queue}"));
        }
        flags
    }
}
