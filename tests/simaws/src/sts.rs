//! STS: form parameters over POST, XML responses in the envelopes of the query protocol.

use crate::response::ApiError;
use crate::scope::session_key;
use crate::service::Call;
use crate::session;
use crate::time::expiration;
use crate::world::last_segment;
use crate::xml::Element;

pub(crate) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Responds to an STS call.
pub(crate) fn respond(call: &Call<'_>) -> Result<String, ApiError> {
    let (envelope, result) = match call.request.action() {
        "AssumeRole" => ("AssumeRoleResponse", assume_role(call, "AssumeRoleResult")?),
        "AssumeRoleWithWebIdentity" => {
            required(call, "WebIdentityToken")?;
            ("AssumeRoleWithWebIdentityResponse", assume_role(call, "AssumeRoleWithWebIdentityResult")?)
        }
        "GetCallerIdentity" => ("GetCallerIdentityResponse", caller_identity(call)),
        action => {
            let message = format!("Could not find operation {action} for version 2011-06-15");
            return Err(ApiError::misuse("InvalidAction", &message));
        }
    };
    let metadata = Element::new("ResponseMetadata").text("RequestId", call.request_id);
    Ok(Element::in_namespace(envelope, NAMESPACE).child(result).child(metadata).document())
}

fn assume_role(call: &Call<'_>, result: &'static str) -> Result<Element, ApiError> {
    let (role, session) = (required(call, "RoleArn")?, required(call, "RoleSessionName")?);
    check_duration(call)?;
    let name = last_segment(role);
    let arn = format!("arn:{}:sts::{}:assumed-role/{name}/{session}", call.world.partition(), call.scope.account);
    let user = Element::new("AssumedRoleUser").text("AssumedRoleId", &format!("AROASIM:{session}")).text("Arn", &arn);
    let credentials = Element::new("Credentials")
        .text("AccessKeyId", &access_key(call, name))
        .text("SecretAccessKey", "simulated-secret")
        .text("SessionToken", &session::token(call))
        .text("Expiration", &expiration(call.options.credentials_lifetime));
    Ok(Element::new(result).child(user).child(credentials))
}

fn required<'a>(call: &Call<'a>, parameter: &str) -> Result<&'a str, ApiError> {
    let value = call.request.text(parameter).filter(|value| !value.is_empty());
    value.ok_or_else(|| ApiError::misuse("ValidationError", &format!("{parameter} must not be null")))
}

/// Checks for 15 minutes to 12 hours ("AssumeRole" in the STS API reference).
fn check_duration(call: &Call<'_>) -> Result<(), ApiError> {
    let Some(text) = call.request.text("DurationSeconds") else { return Ok(()) };
    match text.parse::<u32>() {
        Ok(900..=43_200) => Ok(()),
        _ => Err(ApiError::misuse("ValidationError", &format!("DurationSeconds {text} is not within 900 and 43200"))),
    }
}

fn access_key(call: &Call<'_>, role: &str) -> String {
    let number = call.request_id.rsplit('-').next().unwrap_or_default();
    session_key(role, &call.scope.account, number)
}

fn caller_identity(call: &Call<'_>) -> Element {
    let account = &call.scope.account;
    Element::new("GetCallerIdentityResult")
        .text("Arn", &format!("arn:{}:sts::{account}:assumed-role/simaws/session", call.world.partition()))
        .text("UserId", "AROASIM:session")
        .text("Account", account)
}
