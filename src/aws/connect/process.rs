//! Runs a `credential_process`, with a time limit and without standard input.

use std::process::{Output, Stdio};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sts::primitives::{DateTime, DateTimeFormat};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::process::{Child, Command};

use super::profile::program_of;

/// A command that prints credentials ("Process credential provider" in the AWS SDKs and Tools Reference Guide).
#[derive(Debug)]
pub(super) struct CredentialProcess {
    command: String,
}

/// What it prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

/// Ends the command and its own processes when its credentials are no longer waited for.
struct ProcessGroup(Option<Pid>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails only if no process of the group is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl CredentialProcess {
    pub(super) fn new(command: String) -> Self {
        Self { command }
    }

    async fn run(&self) -> Result<Credentials, String> {
        let output = self.output().await.map_err(|error| error.to_string())?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {}", output.status, stderr.trim()));
        }
        // Without the text, which holds a secret.
        let printed = serde_json::from_slice::<Printed>(&output.stdout);
        let printed = printed.map_err(|error| format!("invalid output at column {}", error.column()))?;
        if printed.version != 1 {
            return Err(format!("version {} of its output is not supported", printed.version));
        }
        let expiration = printed.expiration.as_deref().map(|text| {
            let time = DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset).ok();
            time.and_then(|time| time.try_into().ok()).ok_or_else(|| format!("invalid Expiration {text:?}"))
        });
        let Printed { access_key_id, secret_access_key, session_token, .. } = printed;
        let expiration = expiration.transpose()?;
        Ok(Credentials::new(access_key_id, secret_access_key, session_token, expiration, "CredentialProcess"))
    }

    async fn output(&self) -> std::io::Result<Output> {
        let child = spawn(&self.command)?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let mut group = ProcessGroup(group);
        let output = child.wait_with_output().await;
        // The shell is gone, and its id may soon belong to another process.
        group.0 = None;
        output
    }
}

/// Starts the command in a process group of its own, so that what a shell starts can be ended too.
fn spawn(command: &str) -> std::io::Result<Child> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).process_group(0).kill_on_drop(true);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

impl ProvideCredentials for CredentialProcess {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let failed = |error| format!("credential_process {}: {error}", program_of(&self.command));
            self.run().await.map_err(|error| CredentialsError::provider_error(failed(error)))
        })
    }
}
