//! SQS: receives and deletes messages.

use std::time::Duration;

use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::config::timeout::TimeoutConfig;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::RequestId;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{Builder, StalledStreamProtectionConfig};
use aws_sdk_sqs::operation::delete_message_batch::DeleteMessageBatchError;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;

use super::attempts::{EachAttempt, Finished, Reporter};
use super::errors::{chain, code_of};
use crate::events::{EventQueue, Message, QueueFailure, QueueState};
use crate::inventory::{Operation, Scope};

/// The most messages that one call receives or deletes (Amazon SQS API Reference, "ReceiveMessage").
const BATCH: i32 = 10;

/// How long AWS waits for a message before it responds without any: the longest that it allows.
const WAIT: Duration = Duration::from_secs(20);

/// The time limit of such a call: a response that comes at the end of the wait must still arrive.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(30);

/// An SQS queue.
#[derive(Debug)]
pub struct Sqs {
    client: Client,
    url: String,
    reporter: Reporter,
}

impl Sqs {
    pub(in crate::aws) fn new(client: Client, url: &str, reporter: Reporter) -> Self {
        Self { client, url: url.to_owned(), reporter }
    }

    /// Returns an interceptor that reports each attempt.
    fn interceptor<E>(&self, operation: Operation) -> EachAttempt<E> {
        let reporter = self.reporter.clone();
        EachAttempt::new(move |finished: &Finished<'_>| reporter.report(operation, None, finished))
    }
}

impl EventQueue for Sqs {
    fn url(&self) -> &str {
        &self.url
    }

    fn scope(&self) -> &Scope {
        self.reporter.scope()
    }

    async fn receive(&mut self) -> Result<Vec<Message>, QueueFailure> {
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(RECEIVE_TIMEOUT).operation_timeout(RECEIVE_TIMEOUT);
        // The caller retries with longer pauses. Nothing is sent during the wait, which is no stalled stream.
        let limits = Builder::new()
            .timeout_config(timeouts.build())
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let wait = i32::try_from(WAIT.as_secs()).unwrap_or(20);
        let call = self.client.receive_message().queue_url(&self.url);
        let call = call.max_number_of_messages(BATCH).wait_time_seconds(wait).customize().config_override(limits);
        let call = call.interceptor(self.interceptor::<ReceiveMessageError>(Operation::ReceiveMessage));
        let received = call.send().await.map_err(|error| failure(&error))?;
        let messages = received.messages.unwrap_or_default().into_iter();
        let message = |message: aws_sdk_sqs::types::Message| Message {
            body: message.body.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
        };
        Ok(messages.map(message).collect())
    }

    async fn delete(&mut self, receipts: Vec<String>) -> Result<(), QueueFailure> {
        let entries = receipts.into_iter().enumerate().filter_map(|(n, receipt)| {
            DeleteMessageBatchRequestEntry::builder().id(n.to_string()).receipt_handle(receipt).build().ok()
        });
        let call = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries.collect()));
        let interceptor = self.interceptor::<DeleteMessageBatchError>(Operation::DeleteMessageBatch);
        let call = call.customize().interceptor(interceptor);
        let deleted = call.send().await.map_err(|error| failure(&error))?;
        // A receipt may have expired: the message is received again, and does no harm.
        if let Some(failed) = deleted.failed().first() {
            let (count, code) = (deleted.failed().len(), failed.code());
            tracing::debug!(queue = self.url, count, code, error = failed.message(), "messages not deleted");
        }
        Ok(())
    }
}

fn failure<E>(error: &SdkError<E, HttpResponse>) -> QueueFailure
where
    E: ProvideErrorMetadata + RequestId + std::error::Error + Send + Sync + 'static,
{
    let code = code_of(error);
    let status = error.raw_response().map(|response| response.status().as_u16());
    let message = chain(error);
    QueueFailure { state: state(&code, status), code, message }
}

/// Returns what an error says about the queue. SQS uses the codes of its JSON protocol and those of the query protocol
/// before it (Amazon SQS API Reference, "Common errors").
fn state(code: &str, status: Option<u16>) -> QueueState {
    match (code, status) {
        ("QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" | "InvalidAddress", _) => QueueState::Gone,
        ("KmsAccessDenied" | "KMS.AccessDeniedException" | "InvalidSecurity", _) => QueueState::Denied,
        (code, _) if code.starts_with("AccessDenied") => QueueState::Denied,
        (_, Some(401 | 403)) => QueueState::Denied,
        _ => QueueState::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_tells_the_state_of_the_queue() {
        for (code, status, expected) in [
            ("AWS.SimpleQueueService.NonExistentQueue", Some(400), QueueState::Gone),
            ("QueueDoesNotExist", Some(400), QueueState::Gone),
            ("AccessDenied", Some(403), QueueState::Denied),
            ("AccessDeniedException", Some(400), QueueState::Denied),
            ("KMS.AccessDeniedException", Some(400), QueueState::Denied),
            ("SignatureDoesNotMatch", Some(403), QueueState::Denied),
            ("RequestThrottled", Some(400), QueueState::Unreachable),
            ("ServiceUnavailable", Some(503), QueueState::Unreachable),
            ("Timeout", None, QueueState::Unreachable),
        ] {
            assert_eq!(state(code, status), expected, "{code}");
        }
    }

    #[test]
    fn receive_outlasts_the_wait() {
        assert!(RECEIVE_TIMEOUT > WAIT + Duration::from_secs(5));
    }
}
