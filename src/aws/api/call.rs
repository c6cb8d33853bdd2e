//! Makes a call: the same steps for every operation of every service.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::RequestId;

use super::attempts::{EachAttempt, Finished};
use super::errors;
use super::rate_limit::RateLimits;
use crate::inventory::{Attempt, ClusterRef, Failure, Observer, Operation};

/// Makes calls within AWS's rate limits and reports every attempt.
#[derive(Clone)]
pub(in crate::aws) struct Caller {
    limits: Arc<RateLimits>,
    observer: Arc<dyn Observer>,
}

impl Caller {
    pub(in crate::aws) fn new(observer: Arc<dyn Observer>) -> Self {
        Self { limits: Arc::default(), observer }
    }

    /// Makes a call as soon as the rate limit allows it, and converts its error. `send` sends the request with
    /// the given interceptor.
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
        let bucket = self.limits.bucket(operation);
        bucket.acquire().await;
        let (observer, slowed, cluster_name) = (self.observer.clone(), bucket.clone(), cluster.cloned());
        let interceptor = EachAttempt::new(move |finished: &Finished<'_>| {
            let Finished { number, code, request_id, took } = *finished;
            let throttled = errors::is_throttle(code);
            if throttled {
                slowed.throttled();
            }
            let cluster = cluster_name.as_ref().map(|cluster| cluster.as_str());
            tracing::debug!(%operation, cluster, attempt = number, code, request_id, seconds = took.as_secs_f64(), "AWS call");
            observer.attempt(&Attempt { operation, code, throttled, took });
        });
        send(interceptor).await.map_err(|error| errors::of_call(operation, cluster, error))
    }
}
