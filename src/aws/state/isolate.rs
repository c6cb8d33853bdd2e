//! Turns a panic into a failure: a defect that the response to one call triggers then costs only what that call is for.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;

use crate::aws::api::errors;
use crate::inventory::{ClusterRef, Failure, Operation};

/// Makes a call, and converts its response.
pub(in crate::aws) async fn isolate<T>(
    operation: Operation,
    cluster: Option<&ClusterRef>,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    // The call is dropped with the panic, and what outlives it (rate limits, interned strings) stays valid.
    let result = AssertUnwindSafe(call).catch_unwind().await;
    result.unwrap_or_else(|panic| Err(failure(operation, cluster, &*panic)))
}

/// Evaluates the responses to calls. After a panic, the caller must replace what `evaluate` changes.
pub(in crate::aws) fn isolate_evaluation<T>(
    operation: Operation,
    cluster: Option<&ClusterRef>,
    evaluate: impl FnOnce() -> T,
) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(evaluate)).map_err(|panic| failure(operation, cluster, &*panic))
}

fn failure(operation: Operation, cluster: Option<&ClusterRef>, panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    errors::panicked(operation, cluster, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panic_becomes_a_failure() {
        let cluster = ClusterRef::from("prod");
        let call = async { if cluster.is_arn() { Ok(()) } else { panic!("no {cluster}") } };
        let failure = isolate(Operation::ListTasks, Some(&cluster), call).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.cluster, failure.transient), (Failure::PANIC, Some(cluster), false));
        assert!(failure.message.ends_with(": no prod"), "{}", failure.message);
        let failure = isolate_evaluation(Operation::DescribeTasks, None, || -> u8 { panic!("no text") }).unwrap_err();
        assert_eq!((failure.operation, failure.code.as_str()), (Operation::DescribeTasks, Failure::PANIC));
        assert_eq!(isolate_evaluation(Operation::DescribeTasks, None, || 1), Ok(1));
    }
}
