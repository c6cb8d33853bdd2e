//! SQS: JSON 1.0 over POST, the operation in `X-Amz-Target`. Standard queues, whose messages tests put there.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::request::Request;
use crate::response::ApiError;

/// The most messages that a call receives or deletes, and the longest wait in seconds ("ReceiveMessage" and
/// "DeleteMessageBatch" in the Amazon SQS API reference).
const MOST: u64 = 10;
const LONGEST_WAIT: u64 = 20;

/// How long a received message is hidden, unless the queue says otherwise.
const VISIBILITY: Duration = Duration::from_secs(30);

/// The queues, by name.
#[derive(Debug, Default)]
pub(crate) struct Queues(BTreeMap<String, Queue>);

#[derive(Debug)]
struct Queue {
    messages: Vec<Message>,
    visibility: Duration,
    received: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self { messages: Vec::new(), visibility: VISIBILITY, received: 0 }
    }
}

#[derive(Debug)]
struct Message {
    body: String,
    visible_at: Instant,
    /// That of the last time it was received.
    receipt: String,
}

impl Queues {
    /// Creates a queue, unless it exists.
    pub(crate) fn create(&mut self, name: &str) {
        self.0.entry(name.to_owned()).or_default();
    }

    pub(crate) fn delete(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Sets how long a received message is hidden.
    pub(crate) fn set_visibility(&mut self, name: &str, visibility: Duration) {
        self.0.entry(name.to_owned()).or_default().visibility = visibility;
    }

    /// Puts a message into a queue, which is created if it does not exist.
    pub(crate) fn put(&mut self, name: &str, body: &str) {
        let message = Message { body: body.to_owned(), visible_at: Instant::now(), receipt: String::new() };
        self.0.entry(name.to_owned()).or_default().messages.push(message);
    }

    /// Returns the number of messages in a queue, hidden ones included.
    pub(crate) fn len(&self, name: &str) -> usize {
        self.0.get(name).map_or(0, |queue| queue.messages.len())
    }

    /// Returns until when a call waits for messages, while there are none.
    pub(crate) fn wait(&self, request: &Request) -> Option<Duration> {
        let queue = self.0.get(name(request)?)?;
        let now = Instant::now();
        let waits = request.operation == "sqs:ReceiveMessage" && queue.messages.iter().all(|one| one.visible_at > now);
        waits.then(|| Duration::from_secs(number(request, "WaitTimeSeconds").unwrap_or(0).min(LONGEST_WAIT)))
    }

    /// Responds to a call.
    pub(crate) fn respond(&mut self, request: &Request) -> Result<Value, ApiError> {
        let queue = name(request).and_then(|name| self.0.get_mut(name)).ok_or_else(|| {
            ApiError::new(400, "com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.")
        })?;
        match request.action() {
            "ReceiveMessage" => queue.receive(request),
            "DeleteMessageBatch" => queue.delete(request),
            _ => Err(ApiError::misuse("com.amazon.coral.service#UnknownOperationException", "")),
        }
    }
}

impl Queue {
    fn receive(&mut self, request: &Request) -> Result<Value, ApiError> {
        let most = number(request, "MaxNumberOfMessages").unwrap_or(1);
        if !(1..=MOST).contains(&most) || number(request, "WaitTimeSeconds").unwrap_or(0) > LONGEST_WAIT {
            return Err(ApiError::misuse("com.amazonaws.sqs#InvalidParameterValue", "a limit is exceeded"));
        }
        let now = Instant::now();
        let visible = self.messages.iter_mut().filter(|message| message.visible_at <= now);
        let mut messages = Vec::new();
        for message in visible.take(usize::try_from(most).unwrap_or(1)) {
            self.received += 1;
            message.visible_at = now + self.visibility;
            message.receipt = format!("receipt-{}", self.received);
            messages.push(json!({
                "MessageId": format!("message-{}", self.received),
                "ReceiptHandle": message.receipt,
                "Body": message.body,
            }));
        }
        // An empty response has no such member.
        Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
    }

    fn delete(&mut self, request: &Request) -> Result<Value, ApiError> {
        let entries = request.body.get("Entries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let text = |entry: &Value, member: &str| entry.get(member).and_then(Value::as_str).map(str::to_owned);
        let ids: HashSet<_> = entries.iter().map(|entry| text(entry, "Id")).collect();
        if entries.is_empty() || entries.len() > 10 || ids.len() < entries.len() {
            return Err(ApiError::misuse("com.amazonaws.sqs#InvalidBatch", "1 to 10 entries with different ids"));
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            let receipt = text(entry, "ReceiptHandle").unwrap_or_default();
            if receipt.starts_with("receipt-") {
                self.messages.retain(|message| message.receipt != receipt);
                successful.push(json!({ "Id": text(entry, "Id") }));
            } else {
                failed.push(json!({ "Id": text(entry, "Id"), "Code": "ReceiptHandleIsInvalid", "SenderFault": true }));
            }
        }
        Ok(json!({ "Successful": successful, "Failed": failed }))
    }
}

/// Returns the name of the queue that a call is for: the last part of its URL.
fn name(request: &Request) -> Option<&str> {
    request.text("QueueUrl").and_then(|url| url.rsplit('/').next())
}

fn number(request: &Request, member: &str) -> Option<u64> {
    request.body.get(member).and_then(Value::as_u64)
}
