//! Reports each attempt of a call, including those that the SDK retries by itself.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_ecs::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::error::{BoxError, ProvideErrorMetadata};
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;

use super::errors::{CANCELLED, CONNECTION_FAILED, DISPATCH_FAILURE, INVALID_RESPONSE, TIMEOUT, is_throttle};
use crate::inventory::{Attempt, Observer, Operation, Scope};

/// AWS's headers for the id of a request: JSON and query services use different ones.
const REQUEST_ID: [&str; 2] = ["x-amzn-requestid", "x-amz-request-id"];

/// A finished attempt.
#[derive(Clone, Copy)]
pub(super) struct Finished<'a> {
    /// 1 for the first attempt of a call.
    pub(super) number: u32,
    /// AWS's error code, `ok`, or this program's code for an attempt without a response.
    pub(super) code: &'a str,
    /// AWS's id of the request.
    pub(super) request_id: Option<&'a str>,
    pub(super) took: Duration,
}

impl Finished<'_> {
    /// Returns whether AWS throttled the attempt.
    pub(super) fn is_throttled(&self) -> bool {
        is_throttle(self.code)
    }
}

/// Logs the attempts of calls in one scope, and reports them to the observer.
#[derive(Clone)]
pub(in crate::aws) struct Reporter {
    scope: Arc<Scope>,
    observer: Arc<dyn Observer>,
}

impl Reporter {
    pub(in crate::aws) fn new(scope: Arc<Scope>, observer: Arc<dyn Observer>) -> Self {
        Self { scope, observer }
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Reports an attempt of a call for this cluster, if it is for one.
    pub(super) fn report(&self, operation: Operation, cluster: Option<&str>, finished: &Finished<'_>) {
        let Finished { number, code, request_id, took } = *finished;
        tracing::debug!(%operation, cluster, attempt = number, code, request_id, seconds = took.as_secs_f64(), "AWS call");
        let throttled = finished.is_throttled();
        self.observer.attempt(&Attempt { scope: &self.scope, operation, code, throttled, took });
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reporter").field(&self.scope).finish()
    }
}

/// An interceptor that reports each attempt of one call whose error type is `E`. An attempt in progress when the call is
/// dropped is reported then: AWS has counted it, unless it still waited for a connection.
pub(super) struct EachAttempt<E> {
    report: Box<dyn Fn(&Finished<'_>) + Send + Sync>,
    current: Mutex<Current>,
    error: PhantomData<fn() -> E>,
}

/// The current attempt.
struct Current {
    number: u32,
    start: Instant,
    /// Whether it was about to be sent, and its end not reported yet.
    in_progress: bool,
}

impl<E> EachAttempt<E> {
    pub(super) fn new(report: impl Fn(&Finished<'_>) + Send + Sync + 'static) -> Self {
        let none = Current { number: 0, start: Instant::now(), in_progress: false };
        Self { report: Box::new(report), current: Mutex::new(none), error: PhantomData }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> Drop for EachAttempt<E> {
    fn drop(&mut self) {
        let Current { number, start, in_progress } = *self.current();
        if in_progress {
            (self.report)(&Finished { number, code: CANCELLED, request_id: None, took: start.elapsed() });
        }
    }
}

impl<E> fmt::Debug for EachAttempt<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EachAttempt")
    }
}

impl<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static> Intercept for EachAttempt<E> {
    fn name(&self) -> &'static str {
        "EachAttempt"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut current = self.current();
        *current = Current { number: current.number + 1, start: Instant::now(), in_progress: false };
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.current().in_progress = true;
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let code = match context.output_or_error() {
            Some(Ok(_)) => "ok",
            Some(Err(error)) if error.is_timeout_error() => TIMEOUT,
            Some(Err(error)) if error.is_connector_error() => CONNECTION_FAILED,
            Some(Err(error)) => {
                let modelled = error.as_operation_error().and_then(|error| error.downcast_ref::<E>());
                // Without a response, for example without credentials, nothing was sent.
                let otherwise = if context.response().is_some() { INVALID_RESPONSE } else { DISPATCH_FAILURE };
                modelled.and_then(|error| error.code()).unwrap_or(otherwise)
            }
            None => DISPATCH_FAILURE,
        };
        let headers = context.response().map(|response| response.headers());
        let request_id = REQUEST_ID.iter().find_map(|name| headers?.get(*name));
        let mut current = self.current();
        current.in_progress = false;
        let (number, took) = (current.number, current.start.elapsed());
        drop(current);
        (self.report)(&Finished { number, code, request_id, took });
        Ok(())
    }
}
