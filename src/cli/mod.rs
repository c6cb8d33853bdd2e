//! The command line: the original's flags, in Go's grammar.
//!
//! [`go`] translates Go's grammar into one that clap parses by the table in [`flags`]; [`settings`] converts the result
//! into a [`Config`], with the lists in [`scopes`].

mod flags;
mod go;
mod queues;
mod scopes;
mod settings;

use std::ffi::OsString;

use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue};

pub use self::flags::{FLAGS, Flag, Value};
use self::go::Translated;
use self::settings::{switch, text};
use crate::config::{Config, ListenAddress};
use crate::printable::escape;

/// The command that a command line asks for.
#[derive(Debug, PartialEq)]
pub enum Parsed {
    /// Run.
    Run(Box<Config>),
    /// Refresh once and print why each container is or is not a target.
    Explain(Box<Config>, ExplainFormat),
    /// Check the health of the program that listens on this address.
    HealthCheck(ListenAddress),
    /// Print this text and exit.
    Print(String),
}

/// The output format of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainFormat {
    /// Text for people.
    Text,
    /// JSON for programs.
    Json,
}

/// An invalid command line. Displayed as one line with the reason and one with the usage.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("ecs-discovery: {}\nUsage: ecs-discovery [-FLAG=VALUE]...; see -help for the flags\n", escape(.0))]
pub struct UsageError(String);

/// Parses a command line without the program's name. Flags that it does not set are taken from the environment.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Parsed, UsageError> {
    let arguments: Vec<String> = arguments
        .into_iter()
        .map(|argument| {
            argument.into_string().map_err(|raw| UsageError(format!("invalid argument {raw:?}: not UTF-8")))
        })
        .collect::<Result<_, _>>()?;
    let flags = match go::translate(arguments, flags::kind).map_err(UsageError)? {
        Translated::Help => return Ok(Parsed::Print(flags::help())),
        Translated::Flags(flags) => flags,
    };
    let variables = from_environment(&flags, environment).map_err(UsageError)?;
    let canonical = variables.iter().chain(&flags).map(|(name, value)| format!("--{name}={value}"));
    let matches =
        flags::command().try_get_matches_from(canonical).map_err(|error| invalid_value(&error, &variables))?;
    if switch(&matches, "version") {
        return Ok(Parsed::Print(format!("ecs-discovery {}\n", env!("CARGO_PKG_VERSION"))));
    }
    command(&matches).map_err(|why| UsageError(name_variables(why, &variables)))
}

/// Replaces a flag with its environment variable if the value to fix is there.
fn name_variables(why: String, variables: &[(String, String)]) -> String {
    let from_environment = FLAGS.iter().filter(|flag| variables.iter().any(|(name, _)| name == flag.name));
    from_environment.fold(why, |why, flag| {
        why.replace(&format!(" for -{}: ", flag.name), &format!(" for {}: ", flag.environment_variable()))
    })
}

/// Returns the command, other than to print the version or the help.
fn command(matches: &ArgMatches) -> Result<Parsed, String> {
    if switch(matches, "healthcheck") {
        let web = settings::web(matches)?.ok_or("-healthcheck requires -web.listen-address, the address to check")?;
        return Ok(Parsed::HealthCheck(web.listen));
    }
    let config = Box::new(settings::config(matches)?);
    Ok(match text(matches, "explain") {
        "false" => Parsed::Run(config),
        "json" => Parsed::Explain(config, ExplainFormat::Json),
        _ => Parsed::Explain(config, ExplainFormat::Text),
    })
}

/// Returns the flags that the command line does not set and the environment does.
fn from_environment(
    command_line: &[(String, String)],
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<(String, String)>, String> {
    let absent = FLAGS.iter().filter(|flag| !command_line.iter().any(|(name, _)| name == flag.name));
    let set = absent.filter_map(|flag| {
        let variable = flag.environment_variable();
        let value = environment(&variable)?;
        let value = value.into_string().map_err(|_| format!("invalid value for {variable}: not UTF-8"));
        Some(value.map(|value| (flag.name.to_owned(), value)))
    });
    set.collect()
}

/// Converts clap's error into one in Go's grammar. After the translation only values can be invalid.
fn invalid_value(error: &clap::Error, variables: &[(String, String)]) -> UsageError {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(words)) => format!("expected one of {}", words.join(", ")),
        _ => String::new(),
    };
    let flag = text(ContextKind::InvalidArg);
    let flag = flag.split_whitespace().next().unwrap_or_default().trim_start_matches('-');
    let flag = flag.split('=').next().unwrap_or_default();
    let cause = std::error::Error::source(error).map_or_else(|| text(ContextKind::ValidValue), ToString::to_string);
    let from_environment =
        FLAGS.iter().find(|known| known.name == flag && variables.iter().any(|(name, _)| name == flag));
    let place = from_environment.map_or_else(|| format!("-{flag}"), Flag::environment_variable);
    UsageError(format!("invalid value {:?} for {place}: {cause}", text(ContextKind::InvalidValue)))
}

#[cfg(test)]
mod tests;
