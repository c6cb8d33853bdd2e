//! Makes a call: the same steps for every operation of every service.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::RequestId;

use super::attempts::{EachAttempt, Finished, Reporter};
use super::circuit_breaker::CircuitBreakers;
use super::errors;
use super::rate_limit::{Bucket, RateLimits};
use crate::inventory::{ClusterRef, Failure, Operation};

/// Makes calls within AWS's rate limits, skips those that would only fail late, and reports every attempt.
#[derive(Clone)]
pub(in crate::aws) struct Caller {
    limits: Arc<RateLimits>,
    breakers: Arc<CircuitBreakers>,
    reporter: Reporter,
}

impl Caller {
    pub(in crate::aws) fn new(reporter: Reporter) -> Self {
        Self { limits: Arc::default(), breakers: Arc::default(), reporter }
    }

    /// Makes calls again that an earlier refresh skipped.
    pub(in crate::aws) fn start_refresh(&self) {
        self.breakers.close();
    }

    /// Returns how many attempts have counted against each bucket of ECS so far.
    pub(in crate::aws) fn calls(&self) -> Vec<u32> {
        self.limits.attempts()
    }

    /// Makes a call as soon as the rate limit allows it, unless too many calls of the operation have failed, and
    /// converts its error. `send` sends the request with the given interceptor.
    pub(super) async fn call<T, E, F>(
        &self,
        operation: Operation,
        cluster: Option<&ClusterRef>,
        send: impl FnOnce(EachAttempt<E>) -> F,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + RequestId + Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let breaker = self.breakers.of(operation);
        let call = async {
            self.limits.acquire(operation).await;
            // While this call waited for its token, others may have failed.
            breaker.check(operation, cluster)?;
            let interceptor = self.interceptor(operation, cluster, self.limits.bucket(operation));
            send(interceptor).await.map_err(|error| errors::of_call(operation, cluster, error))
        };
        breaker.call(operation, cluster, call).await
    }

    /// Returns an interceptor that reports each attempt, and slows down the bucket when one is throttled.
    fn interceptor<E>(&self, operation: Operation, cluster: Option<&ClusterRef>, bucket: &Bucket) -> EachAttempt<E> {
        let (reporter, slowed, cluster) = (self.reporter.clone(), bucket.clone(), cluster.cloned());
        EachAttempt::new(move |finished: &Finished<'_>| {
            slowed.attempted();
            if finished.is_throttled() {
                slowed.throttled();
            }
            reporter.report(operation, cluster.as_ref().map(|cluster| cluster.as_str()), finished);
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_ecs::config::http::HttpResponse;
    use aws_sdk_ecs::error::ErrorMetadata;
    use aws_sdk_ecs::operation::list_tasks::ListTasksError;
    use futures_util::future::join_all;
    use futures_util::{StreamExt, stream};
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::aws::OPERATION_TIMEOUT;
    use crate::aws::api::rate_limit::LONGEST_PAUSE;
    use crate::inventory::{Attempt, Cached, Observer, Scope};

    struct Nobody;

    fn caller() -> Caller {
        let scope = Scope { region: "eu-west-1".into(), account: None };
        Caller::new(Reporter::new(Arc::new(scope), Arc::new(Nobody)))
    }

    impl Observer for Nobody {
        fn attempt(&self, _: &Attempt<'_>) {}
        fn cached(&self, _: &Scope, _: Cached, _: usize) {}
    }

    type Response = Result<(), SdkError<ListTasksError, HttpResponse>>;

    /// Lists clusters as a refresh does, and returns the codes in order and how long it took.
    async fn list(
        clusters: usize,
        respond: impl AsyncFn(usize, &Caller) -> Response,
    ) -> (Vec<Option<String>>, Duration) {
        let (caller, start) = (caller(), Instant::now());
        let (caller, respond) = (&caller, &respond);
        let calls = (0..clusters).map(|n| async move {
            let cluster = ClusterRef::from(format!("c-{n}").as_str());
            let send = |_| respond(n, caller);
            (n, caller.call(Operation::ListTasks, Some(&cluster), send).await.err().map(|failure| failure.code))
        });
        let mut codes: Vec<_> = stream::iter(calls).buffer_unordered(8).collect().await;
        codes.sort_unstable();
        (codes.into_iter().map(|(_, code)| code).collect(), start.elapsed())
    }

    async fn hang(_: usize, _: &Caller) -> Response {
        sleep(OPERATION_TIMEOUT).await;
        Err(SdkError::timeout_error("hangs"))
    }

    async fn throttle(_: usize, caller: &Caller) -> Response {
        for pause in [0, 500, 1000, 2000, 4000] {
            sleep(Duration::from_millis(pause)).await;
            caller.limits.bucket(Operation::ListTasks).throttled();
        }
        let error = ListTasksError::generic(ErrorMetadata::builder().code("ThrottlingException").build());
        Err(SdkError::service_error(error, HttpResponse::new(400.try_into().unwrap(), "".into())))
    }

    /// The bound that the circuit breaker documents.
    const BOUND: Duration = OPERATION_TIMEOUT.saturating_add(LONGEST_PAUSE).saturating_mul(3);

    #[tokio::test(start_paused = true)]
    async fn time_for_failing_calls_does_not_depend_on_the_number_of_clusters() {
        for clusters in [60, 600] {
            let (codes, took) = list(clusters, hang).await;
            assert!(took <= OPERATION_TIMEOUT + Duration::from_secs(1), "{clusters} hanging: {took:?}");
            assert_eq!(codes.iter().flatten().filter(|code| *code == "Timeout").count(), 8);
            assert_eq!(codes.iter().flatten().filter(|code| *code == "Skipped").count(), clusters - 8);
            let (codes, took) = list(clusters, throttle).await;
            assert!(took < BOUND, "{clusters} throttled: {took:?}");
            assert!(codes.iter().all(Option::is_some));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn successes_between_failures_do_not_extend_the_time() {
        let every_other =
            async |n: usize, caller: &Caller| if n.is_multiple_of(2) { hang(n, caller).await } else { Ok(()) };
        let (codes, took) = list(600, every_other).await;
        assert!(took < BOUND, "{took:?}");
        assert!(codes.iter().flatten().filter(|code| *code == "Timeout").count() < 16);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_successes_are_not_skipped() {
        let slow = async |_: usize, _: &Caller| {
            sleep(Duration::from_secs(9)).await;
            Ok(())
        };
        assert!(list(60, slow).await.0.iter().all(Option::is_none));
    }

    /// As in AWS, where each account and region has its own.
    #[tokio::test(start_paused = true)]
    async fn scopes_share_neither_rate_limits_nor_circuit_breakers() {
        let (busy, other) = (caller(), caller());
        let succeed = async |caller: &Caller| {
            let start = Instant::now();
            let called = caller.call(Operation::ListTasks, None, |_| async { Response::Ok(()) }).await;
            (called.is_ok(), start.elapsed())
        };
        let (of_busy, of_other) =
            tokio::join!(join_all((0..200).map(|_| succeed(&busy))), join_all((0..20).map(|_| succeed(&other))));
        assert!(of_busy.iter().any(|(_, waited)| *waited >= Duration::from_secs(5)), "the burst is used up");
        assert!(of_other.iter().all(|called| *called == (true, Duration::ZERO)), "{of_other:?}");
        for _ in 0..8 {
            let failed = busy.call(Operation::ListTasks, None, |_| hang(0, &busy)).await;
            assert_eq!(failed.unwrap_err().code, "Timeout");
        }
        assert!(!succeed(&busy).await.0 && succeed(&other).await.0);
    }

    #[tokio::test(start_paused = true)]
    async fn next_refresh_calls_again() {
        let caller = caller();
        let call = || async { caller.call(Operation::ListTasks, None, |_| hang(0, &caller)).await.unwrap_err().code };
        for _ in 0..8 {
            assert_eq!(call().await, "Timeout");
        }
        assert_eq!(call().await, "Skipped");
        caller.start_refresh();
        assert_eq!(call().await, "Timeout");
    }
}
