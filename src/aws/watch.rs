//! Lets somebody outside see every attempt of a call, those that the SDK retries by itself included.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_ecs::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::error::{BoxError, ProvideErrorMetadata};
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;

use super::calls::Bucket;
use super::failure::{TIMEOUT, is_throttle};

/// Every operation that is called, with its service.
pub const OPERATIONS: [(&str, &str); 6] = [
    ("ecs", "ListClusters"),
    ("ecs", "ListTasks"),
    ("ecs", "DescribeTasks"),
    ("ecs", "DescribeTaskDefinition"),
    ("ecs", "DescribeContainerInstances"),
    ("ec2", "DescribeInstances"),
];

/// One attempt of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt<'a> {
    /// `ecs` or `ec2`.
    pub service: &'static str,
    /// The operation.
    pub operation: &'static str,
    /// AWS's error code, `ok`, or our word for what happened on the way.
    pub code: &'a str,
    /// Whether AWS said "slow down".
    pub throttled: bool,
    /// How long it took.
    pub took: Duration,
}

/// Somebody who watches the calls. Has to be quick: calls wait for it.
pub trait Observer: Send + Sync {
    /// An attempt ended.
    fn attempt(&self, attempt: &Attempt<'_>);
    /// So much is remembered in a cache.
    fn remembers(&self, cache: &'static str, entries: usize);
}

/// Hands attempts to an observer.
#[derive(Clone)]
pub(super) struct Watch(Arc<dyn Observer>);

impl Watch {
    pub(super) fn new(observer: Arc<dyn Observer>) -> Self {
        Self(observer)
    }

    /// For one call of an ECS operation, whose errors are of this type, and the bucket that it takes from.
    pub(super) fn ecs<E>(&self, operation: &'static str, bucket: &Bucket) -> Interceptor<E> {
        self.of("ecs", operation, bucket)
    }

    /// For one call of an EC2 operation.
    pub(super) fn ec2<E>(&self, operation: &'static str, bucket: &Bucket) -> Interceptor<E> {
        self.of("ec2", operation, bucket)
    }

    fn of<E>(&self, service: &'static str, operation: &'static str, bucket: &Bucket) -> Interceptor<E> {
        let (watch, bucket) = (self.clone(), bucket.clone());
        Interceptor { service, operation, watch, bucket, started: Mutex::new(Instant::now()), error: PhantomData }
    }
}

/// Sees the attempts of one call.
pub(super) struct Interceptor<E> {
    service: &'static str,
    operation: &'static str,
    watch: Watch,
    bucket: Bucket,
    started: Mutex<Instant>,
    error: PhantomData<fn() -> E>,
}

impl<E> fmt::Debug for Interceptor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interceptor({})", self.operation)
    }
}

impl<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static> Intercept for Interceptor<E> {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Ok(mut started) = self.started.lock() {
            *started = Instant::now();
        }
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
            Some(Err(error)) if error.is_connector_error() => "ConnectionFailed",
            Some(Err(error)) => {
                let modelled = error.as_operation_error().and_then(|error| error.downcast_ref::<E>());
                // Without credentials, say, nothing was sent that could be answered.
                let otherwise = if context.response().is_some() { "BadAnswer" } else { "NotSent" };
                modelled.and_then(|error| error.code()).unwrap_or(otherwise)
            }
            None => "NotSent",
        };
        let took = self.started.lock().map_or(Duration::ZERO, |started| started.elapsed());
        let throttled = is_throttle(code);
        if throttled {
            self.bucket.throttled();
        }
        let (service, operation) = (self.service, self.operation);
        self.watch.0.attempt(&Attempt { service, operation, code, throttled, took });
        Ok(())
    }
}
