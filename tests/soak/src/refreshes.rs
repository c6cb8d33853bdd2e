//! What the simulated AWS saw: which refresh of which scope was undisturbed, and is known to be published.
//!
//! No clock decides. The loop of a scope begins a refresh, by a call of ListClusters, only after its last one has been
//! published. So that call is the proof that everything learned since the one before it is in the file.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use simaws::{FaultKind, Span};

use crate::setup::{CLUSTERS, SCOPES, Scope, Setup, life_of};

const FIRST_CALL: &str = "ecs:ListClusters";

/// The number of undisturbed refreshes that are kept for each cluster. A stopped container shows within ten.
const KEPT: usize = 16;

/// What a disturbance disturbs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Disturbs {
    /// `None` for all.
    pub(crate) scope: Option<Scope>,
    pub(crate) cluster: Option<String>,
    pub(crate) how: How,
}

impl Disturbs {
    /// Calls for a cluster fail.
    pub(crate) fn calls_of(scope: Scope, cluster: &str) -> Self {
        Self { scope: Some(scope), cluster: Some(cluster.to_owned()), how: How::Calls }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Calls fail.
    Calls,
    /// Roles cannot be assumed. The failure may be used once more after it has ended.
    Login,
    /// The file cannot be written.
    Disk,
    /// The process is stopped, so that calls may time out.
    Stop,
    /// The queue fails, which no refresh depends on.
    Queue,
}

struct Window {
    id: u64,
    disturbs: Disturbs,
    from: Instant,
    until: Option<Instant>,
}

/// An undisturbed refresh: what was true at its start is in the file since it is known to be published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undisturbed {
    pub(crate) start: Instant,
    pub(crate) published: Instant,
}

/// The calls of one scope in the current life.
#[derive(Default)]
struct Calls {
    /// The starts of the current refresh and of the one before.
    current: Option<Instant>,
    previous: Option<Instant>,
    /// When a refresh of the whole scope was first known to be published.
    whole: Option<Instant>,
    /// Calls since the start of the current refresh that the program must have counted when it ends.
    open: Vec<(Instant, String)>,
    /// The same of the refreshes that have ended, by operation.
    certain: BTreeMap<String, u64>,
}

/// The refreshes of all scopes.
pub(crate) struct Refreshes {
    setup: Setup,
    /// When the life began, and when its first publication is known to have been written.
    began: Instant,
    written: Option<Instant>,
    windows: Vec<Window>,
    next_window: u64,
    scopes: Vec<Calls>,
    undisturbed: HashMap<(Scope, &'static str), VecDeque<Undisturbed>>,
    /// The number of refreshes that have ended.
    pub(crate) ended: u64,
}

impl Refreshes {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            setup,
            began: Instant::now(),
            written: None,
            windows: Vec::new(),
            next_window: 0,
            scopes: (0..SCOPES).map(|_| Calls::default()).collect(),
            undisturbed: HashMap::new(),
            ended: 0,
        }
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Begins a life with other flags. Clusters that it does not scan lose their targets.
    pub(crate) fn begin_life(&mut self, setup: Setup) {
        self.undisturbed.retain(|(scope, cluster), _| setup.selects(*scope, cluster));
        self.scopes = (0..SCOPES).map(|_| Calls::default()).collect();
        (self.setup, self.began, self.written) = (setup, Instant::now(), None);
    }

    /// Records that a disturbance begins now. To be called before it does.
    pub(crate) fn begin(&mut self, disturbs: Disturbs) -> u64 {
        self.next_window += 1;
        self.windows.push(Window { id: self.next_window, disturbs, from: Instant::now(), until: None });
        self.next_window
    }

    /// Records that a disturbance has ended. To be called after it has.
    pub(crate) fn end(&mut self, id: u64) {
        let now = Instant::now();
        self.windows.iter_mut().filter(|window| window.id == id).for_each(|window| window.until = Some(now));
        // Refreshes that it may have disturbed have ended long since.
        let previous = |scope: Scope| self.scopes[scope.0].previous.unwrap_or(self.began);
        let oldest = self.setup.scopes().map(previous).min().unwrap_or(self.began);
        self.windows.retain(|window| window.until.is_none_or(|until| until > oldest));
    }

    /// Takes finished calls, in any order.
    pub(crate) fn observe<'a>(&mut self, spans: impl Iterator<Item = &'a Span>) {
        let mut spans: Vec<&Span> = spans.filter(|span| life_of(&span.access_key) == Some(self.setup.life)).collect();
        spans.sort_by_key(|span| span.begun);
        for span in spans {
            let Some(scope) = Scope::named(&span.scope) else { continue };
            if span.fault == Some(FaultKind::ExpiredToken) {
                self.session_expired(scope, span);
            }
            if span.operation == FIRST_CALL && !span.continues {
                self.begins(scope, span.begun);
            }
            if self.must_be_counted(span) {
                self.scopes[scope.0].open.push((span.begun, span.operation.clone()));
            }
        }
    }

    /// Records that a session was used for too long, as after a jump of the clock. That may cost its scopes one refresh,
    /// and no more: in calm all must be learned again.
    fn session_expired(&mut self, scope: Scope, span: &Span) {
        let disturbs = Disturbs { scope: Some(scope), cluster: None, how: How::Calls };
        self.next_window += 1;
        self.windows.push(Window { id: self.next_window, disturbs, from: span.begun, until: Some(span.ended) });
    }

    /// Ends the current refresh of a scope, and begins the next.
    fn begins(&mut self, scope: Scope, at: Instant) {
        let calls = &mut self.scopes[scope.0];
        let Some(start) = calls.current else {
            calls.current = Some(at);
            return;
        };
        // An attempt that hung is recorded after the one that replaced it.
        if at <= start {
            return;
        }
        let previous = calls.previous.unwrap_or(self.began);
        (calls.previous, calls.current) = (Some(start), Some(at));
        for (_, operation) in calls.open.extract_if(.., |(begun, _)| *begun < at) {
            *calls.certain.entry(operation).or_default() += 1;
        }
        self.ended += 1;
        if !self.is_disturbed(scope, None, start, at, previous) {
            self.scopes[scope.0].whole.get_or_insert(at);
            self.written.get_or_insert(at);
            for cluster in CLUSTERS.into_iter().filter(|cluster| self.setup.selects(scope, cluster)) {
                if !self.is_disturbed(scope, Some(cluster), start, at, previous) {
                    let known = self.undisturbed.entry((scope, cluster)).or_default();
                    known.truncate(KEPT - 1);
                    known.push_front(Undisturbed { start, published: at });
                }
            }
        }
    }

    /// Returns whether something disturbed a refresh as a whole, or the part of it that is about a cluster.
    fn is_disturbed(
        &self,
        scope: Scope,
        cluster: Option<&str>,
        start: Instant,
        end: Instant,
        previous: Instant,
    ) -> bool {
        let concerns = |window: &Window| {
            let Disturbs { scope: of, cluster: in_cluster, how } = &window.disturbs;
            let from = if *how == How::Login { previous } else { start };
            *how != How::Queue
                && of.is_none_or(|of| of == scope)
                && in_cluster.as_deref() == cluster
                && window.from < end
                && window.until.is_none_or(|until| until > from)
        };
        self.windows.iter().any(concerns)
    }

    fn windows_in(&self, start: Instant, end: Instant) -> impl Iterator<Item = &Window> {
        self.windows.iter().filter(move |window| window.from < end && window.until.is_none_or(|until| until > start))
    }

    /// Returns whether the program has counted the call for certain when the next refresh begins: it may have been stopped
    /// meanwhile, and count it when it goes on.
    fn must_be_counted(&self, span: &Span) -> bool {
        !self.windows_in(span.begun, span.ended).any(|window| window.disturbs.how == How::Stop)
    }

    /// Returns how many calls of each operation the program must have counted in this scope.
    pub(crate) fn certain(&self, scope: Scope) -> &BTreeMap<String, u64> {
        &self.scopes[scope.0].certain
    }

    /// Returns the undisturbed refreshes of a cluster that were known to be published at this time, newest first.
    pub(crate) fn undisturbed(
        &self,
        scope: Scope,
        cluster: &'static str,
        at: Instant,
    ) -> impl Iterator<Item = Undisturbed> {
        let all = self.undisturbed.get(&(scope, cluster)).into_iter().flatten();
        all.copied().filter(move |refresh| refresh.published <= at)
    }

    /// Returns whether targets of a scope or cluster that this life does not scan must have left the file by this time: it
    /// was written without them. A scope of which only the credentials are known may be of any account, until it has
    /// listed its clusters; so it keeps the targets of other accounts in its region until then.
    pub(crate) fn has_dropped(&self, scope: Scope, at: Instant) -> bool {
        let own = scope.in_own_account();
        let of_own = !self.setup.asks(scope) && self.setup.asks(own);
        let proof = if of_own { self.scopes[own.0].whole } else { self.written };
        proof.is_some_and(|proof| proof <= at)
    }

    /// Returns whether every cluster that is scanned has been learned since this time.
    pub(crate) fn all_learned_since(&self, since: Instant) -> bool {
        let learned = |scope, cluster| {
            self.undisturbed.get(&(scope, cluster)).and_then(VecDeque::front).is_some_and(|last| last.start > since)
        };
        let mut clusters = self.setup.scopes().flat_map(|scope| CLUSTERS.map(|cluster| (scope, cluster)));
        clusters.all(|(scope, cluster)| !self.setup.selects(scope, cluster) || learned(scope, cluster))
    }
}
