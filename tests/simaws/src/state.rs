//! The state of the server, behind one lock that is never held across an await.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::faults::{FaultKind, Faults};
use crate::lives::{Birth, Lives};
use crate::paging::Tokens;
use crate::quota::Quotas;
use crate::request::Request;
use crate::response::Response;
use crate::scope::Scope;
use crate::service::Call;
use crate::sqs::Queues;
use crate::{Calls, Options, Span, World, session};

/// The state shared by the connections and the owner of the server.
#[derive(Debug)]
pub(crate) struct State {
    inner: Mutex<Inner>,
    in_flight: AtomicUsize,
}

/// The state behind the lock.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) world: World,
    options: Options,
    pub(crate) queues: Queues,
    lives: Lives,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
    pub(crate) unexpected: Vec<String>,
    tokens: Tokens,
    /// The quotas of each account in each region.
    quotas: HashMap<Scope, Quotas>,
    requests: u64,
}

/// Counts a call as in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    state: Arc<State>,
    /// The call, which ends when this is dropped.
    span: Span,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.span.ended = Instant::now();
        self.state.lock().calls.record_end(self.span.clone());
    }
}

/// What happens to a call.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) fault: Option<FaultKind>,
    pub(crate) latency: Duration,
    pub(crate) in_flight: InFlight,
}

impl State {
    pub(crate) fn new(world: World) -> Self {
        let inner = Inner {
            world,
            options: Options::default(),
            queues: Queues::default(),
            lives: Lives::default(),
            faults: Faults::default(),
            calls: Calls::default(),
            unexpected: Vec::new(),
            tokens: Tokens::default(),
            quotas: HashMap::new(),
            requests: 0,
        };
        Self { inner: Mutex::new(inner), in_flight: AtomicUsize::new(0) }
    }

    /// Locks the state as of now: lives go on whenever somebody looks. Poisoning is ignored: a test that panicked while
    /// it changed the world has failed anyway.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *guard;
        inner.lives.advance(Instant::now(), &mut inner.world, &mut inner.queues);
        guard
    }

    /// Starts the life of a task, and returns when.
    pub(crate) fn start_life(&self, birth: Birth) -> Instant {
        let mut inner = self.lock();
        let now = Instant::now();
        inner.lives.start(birth, now);
        now
    }

    /// Counts a call and decides what happens to it.
    pub(crate) fn begin(self: &Arc<Self>, request: &Request) -> Plan {
        let begun = Instant::now();
        let now_in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        let mut inner = self.lock();
        let scope = request.scope(&inner.world.scope());
        let (body, access_key) = (request.body.clone(), request.access_key.clone());
        inner.calls.record(&request.operation, &scope, body, access_key.clone(), now_in_flight);
        let within_quota = !inner.options.quotas || inner.grants(request, &scope, begun);
        let fault = inner.faults.next_for(request, &scope);
        let fault = fault.or((!within_quota).then_some(FaultKind::Throttle));
        let fault = fault.or(session::has_expired(request).then_some(FaultKind::ExpiredToken));
        let throttled = fault == Some(FaultKind::Throttle);
        if throttled {
            inner.calls.record_throttled();
        }
        let span = Span {
            operation: request.operation.clone(),
            scope: scope.to_string(),
            begun,
            ended: begun,
            throttled,
            access_key,
            cluster: request.cluster().map(str::to_owned),
            continues: request.text("nextToken").is_some(),
            fault: fault.clone(),
        };
        let in_flight = InFlight { state: Arc::clone(self), span };
        Plan { fault, latency: inner.options.latency, in_flight }
    }

    /// Responds to a call from the current world.
    pub(crate) fn respond(&self, request: &Request, fault: Option<&FaultKind>) -> Response {
        let mut inner = self.lock();
        let inner = &mut *inner;
        inner.requests += 1;
        let request_id = format!("5e1f0000-0000-4000-8000-{:012x}", inner.requests);
        let scope = request.scope(&inner.world.scope());
        let call = Call {
            request,
            scope: &scope,
            request_id: &request_id,
            world: &inner.world.of_scope(&scope),
            options: &inner.options,
            queues: &mut inner.queues,
            tokens: &mut inner.tokens,
            page_fault: None,
            unexpected: &mut inner.unexpected,
        };
        call.respond(fault)
    }

    pub(crate) fn set_options(&self, options: Options) {
        let mut inner = self.lock();
        inner.options = options;
        inner.quotas.clear();
    }

    pub(crate) fn take_calls(&self) -> Calls {
        std::mem::take(&mut self.lock().calls)
    }
}

impl Inner {
    /// Takes a token from the scope's quota for the request, or returns false if there is none.
    fn grants(&mut self, request: &Request, scope: &Scope, now: Instant) -> bool {
        self.quotas.entry(scope.clone()).or_insert_with(|| Quotas::full(now)).grants(request, now)
    }
}
