//! The shared configuration and credentials files, and the selected profile in them.

use std::io::ErrorKind;
use std::path::PathBuf;

use aws_config::profile::profile_file;
use aws_config::profile::{Profile, ProfileSet};

use super::environment::{is_url, validate_profile, variable};
use super::error::StartError;
use super::profile_text::{self, Kind};
use crate::aws::api::errors;

const CREDENTIAL_PROCESS: &str = "credential_process";
const SOURCE_PROFILE: &str = "source_profile";
const SSO: [&str; 5] = ["sso_account_id", "sso_region", "sso_role_name", "sso_start_url", "sso_session"];

/// The files in the SDK's own type. Its new name is in another crate.
#[allow(deprecated)]
pub(super) type Files = profile_file::ProfileFiles;
#[allow(deprecated)]
type SdkKind = profile_file::ProfileFileKind;

/// The profiles.
pub(super) struct Profiles {
    /// What the SDK must read in place of the files.
    pub(super) files: Files,
    set: ProfileSet,
    /// The credential processes, as names of credential sources in `files` and their commands.
    pub(super) processes: Vec<(String, String)>,
}

/// A file with its contents.
struct File {
    kind: Kind,
    path: PathBuf,
    text: String,
    /// Why it cannot be read.
    error: Option<std::io::Error>,
}

impl Profiles {
    /// Reads the files. Fails if they cannot be parsed, or if the profile does not exist or has an invalid value.
    pub(super) async fn read() -> Result<Self, StartError> {
        let mut files = [
            File::read(Kind::Config, "AWS_CONFIG_FILE", "~/.aws/config"),
            File::read(Kind::Credentials, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
        ];
        validate_syntax(&files).await?;
        files.iter_mut().for_each(|file| file.text = profile_text::without_empty(&file.text));
        let set = parse(&with_contents(&files)).await?;
        let processes = replace_processes(&set, &mut files);
        let profiles = Self { files: with_contents(&files), set, processes };
        profiles.validate(&files)?;
        Ok(profiles)
    }

    /// Returns the name of the selected profile.
    pub(super) fn name(&self) -> &str {
        self.set.selected_profile()
    }

    /// Returns a key of the selected profile.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.set.get(key)
    }

    /// Describes the selected profile, with what its credentials come from.
    pub(super) fn describe(&self) -> String {
        let mut means = Vec::new();
        let mut next = self.set.get_profile(self.name());
        // A profile that comes up again ends the chain, as in the SDK.
        for _ in self.set.profiles() {
            let Some(profile) = next else { break };
            means.extend(means_of(profile));
            let source = profile.get("source_profile").filter(|source| *source != profile.name());
            next = source.and_then(|source| self.set.get_profile(source));
        }
        let name = self.name();
        if means.is_empty() {
            format!("the profile {name:?}")
        } else {
            format!("the profile {name:?} ({})", means.join(", "))
        }
    }

    fn validate(&self, files: &[File]) -> Result<(), StartError> {
        let name = self.name();
        let Some(profile) = self.set.get_profile(name) else {
            // Without the variable it is the default profile, which need not exist.
            return if variable("AWS_PROFILE").is_some() { Err(missing(name, files)) } else { Ok(()) };
        };
        validate_profile(name, |key| profile.get(key))?;
        let Some(services) = profile.get("services") else { return Ok(()) };
        let endpoints = files.iter().flat_map(|file| profile_text::of_services(&file.text, services, "endpoint_url"));
        for (service, value) in endpoints {
            if !is_url(value) {
                let place = format!("services {services:?}: {service}: endpoint_url");
                return Err(StartError::setting(&place, value, "a URL such as https://HOST"));
            }
        }
        Ok(())
    }
}

impl File {
    fn read(kind: Kind, path_variable: &str, default: &str) -> Self {
        let path = expand_home(&variable(path_variable).unwrap_or_else(|| default.into()));
        let (text, error) = match std::fs::read_to_string(&path) {
            Ok(text) => (text, None),
            Err(error) => (String::new(), Some(error)),
        };
        if let Some(error) = error.as_ref().filter(|error| error.kind() != ErrorKind::NotFound) {
            tracing::warn!(path = %path.display(), %error, "cannot read profiles");
        }
        Self { kind, path, text, error }
    }

    fn sdk_kind(&self) -> SdkKind {
        match self.kind {
            Kind::Config => SdkKind::Config,
            Kind::Credentials => SdkKind::Credentials,
        }
    }
}

/// Expands `~` to `$HOME`, as the SDK does (aws-runtime 1.10, `env_config::source`).
fn expand_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.into(),
    }
}

/// Fails with the path and the line of a syntax error.
async fn validate_syntax(files: &[File]) -> Result<(), StartError> {
    let readable = files.iter().filter(|file| file.error.is_none());
    let builder = readable.fold(Files::builder(), |all, file| all.with_file(file.sdk_kind(), &file.path));
    // The builder panics without a file.
    if files.iter().any(|file| file.error.is_none()) { parse(&builder.build()).await.map(drop) } else { Ok(()) }
}

async fn parse(files: &Files) -> Result<ProfileSet, StartError> {
    // The real environment and file system, whose types this crate of the SDK does not export.
    let parsed = aws_config::profile::load(&Default::default(), &Default::default(), files, None).await;
    parsed.map_err(|error| StartError::Invalid(format!("profile: {}", errors::chain(&error))))
}

/// Returns an empty file, without which the SDK would read the usual ones.
pub(super) fn no_files() -> Files {
    with_contents(&[File { kind: Kind::Config, path: PathBuf::new(), text: String::new(), error: None }])
}

fn with_contents(files: &[File]) -> Files {
    files.iter().fold(Files::builder(), |all, file| all.with_contents(file.sdk_kind(), &file.text)).build()
}

fn missing(name: &str, files: &[File]) -> StartError {
    let places = files.iter().map(|file| match &file.error {
        Some(error) => format!("{} ({error})", file.path.display()),
        None => file.path.display().to_string(),
    });
    let places: Vec<_> = places.collect();
    StartError::Invalid(format!("AWS_PROFILE={name}: this profile does not exist in {}", places.join(" or ")))
}

/// Replaces each credential process by a credential source of this program: the SDK lets a process read from standard
/// input, and neither limits its time nor ends it.
fn replace_processes(set: &ProfileSet, files: &mut [File]) -> Vec<(String, String)> {
    let profiles = set.profiles().filter_map(|name| set.get_profile(name));
    let commands = profiles.filter_map(|profile| Some((profile.name(), credential_process(profile)?)));
    let processes: Vec<_> =
        commands.enumerate().map(|(n, (name, command))| (name, format!("process-{n}"), command)).collect();
    for file in files {
        let lines: Vec<_> =
            processes.iter().map(|(name, source, _)| (*name, format!("credential_source = {source}"))).collect();
        let line_for = |profile: &str| lines.iter().find(|(name, _)| *name == profile).map(|(_, line)| line.as_str());
        file.text = profile_text::replace(&file.text, file.kind, CREDENTIAL_PROCESS, line_for);
        // With a credential source, a profile that names itself as its source would be invalid.
        let itself = |profile: &str| {
            set.get_profile(profile).filter(|profile| profile.get(SOURCE_PROFILE) == Some(profile.name()))
        };
        let no_line = |profile: &str| line_for(profile).and(itself(profile)).map(|_| "");
        file.text = profile_text::replace(&file.text, file.kind, SOURCE_PROFILE, no_line);
    }
    processes.into_iter().map(|(_, source, command)| (source, command.to_owned())).collect()
}

/// Returns the command that the profile's own credentials come from, in the SDK's order of precedence (aws-config 1.13,
/// `profile::credentials::repr`).
fn credential_process(profile: &Profile) -> Option<&str> {
    let command = profile.get(CREDENTIAL_PROCESS)?;
    let comes_first = ["credential_source", "web_identity_token_file", "login_session"];
    let has_other = comes_first.iter().chain(&SSO).any(|key| profile.get(key).is_some());
    let is_of_role =
        profile.get("role_arn").is_some() && profile.get(SOURCE_PROFILE).is_some_and(|source| source != profile.name());
    (!has_other && !is_of_role).then_some(command)
}

/// Describes what a profile adds to the way to its credentials.
fn means_of(profile: &Profile) -> Option<String> {
    let role = profile.get("role_arn");
    if let (Some(role), Some(file)) = (role, profile.get("web_identity_token_file")) {
        return Some(format!("STS AssumeRoleWithWebIdentity of {role}, token file {file}"));
    }
    let means = [
        role.map(|role| format!("STS AssumeRole of {role}")),
        profile.get("credential_source").map(|source| format!("credential_source {source}")),
        SSO.iter().any(|key| profile.get(key).is_some()).then(|| "IAM Identity Center".to_owned()),
        profile.get("login_session").map(|_| "aws login session".to_owned()),
        credential_process(profile).map(|command| format!("credential_process {}", program_of(command))),
    ];
    let means: Vec<_> = means.into_iter().flatten().collect();
    (!means.is_empty()).then(|| means.join(", "))
}

/// Returns the program of a command. Its arguments may be secrets.
pub(super) fn program_of(command: &str) -> &str {
    command.split_whitespace().next().unwrap_or_default()
}
