//! The errors for the kinds of fault, as each service returns them.
//!
//! Codes: "Common error types" of ECS and STS, "Error codes for the Amazon EC2 API".

use super::FaultKind;
use crate::request::{Protocol, Request};
use crate::response::ApiError;
use crate::world::World;

impl FaultKind {
    /// Returns the service's error, or `None` if this kind of fault is not an error response.
    pub(crate) fn error(&self, request: &Request, world: &World) -> Option<ApiError> {
        let (status, code, message) = match self {
            Self::Throttle => throttle(request.protocol),
            Self::ServerError => server_error(request.protocol),
            Self::Unavailable => unavailable(request.protocol),
            Self::ExpiredToken => expired_token(request.protocol),
            Self::Denied => return Some(denied(request, world)),
            Self::Error { status, code, message } => (*status, code.as_str(), message.as_str()),
            _ => return None,
        };
        Some(ApiError::new(status, code, message))
    }
}

type Words = (u16, &'static str, &'static str);

fn throttle(protocol: Protocol) -> Words {
    match protocol {
        Protocol::Ec2 => (503, "RequestLimitExceeded", "Request limit exceeded."),
        Protocol::Sts => (400, "Throttling", "Rate exceeded"),
        Protocol::Sqs => (400, "com.amazonaws.sqs#RequestThrottled", "Rate exceeded"),
        Protocol::Ecs => (400, "ThrottlingException", "Rate exceeded"),
        _ => (429, "TooManyRequests", "Rate exceeded"),
    }
}

fn server_error(protocol: Protocol) -> Words {
    match protocol {
        Protocol::Ec2 => (500, "InternalError", "An internal error has occurred"),
        Protocol::Sts => (500, "InternalFailure", "The request processing has failed."),
        _ => (500, "ServerException", "Service Unavailable. Please try again later."),
    }
}

fn unavailable(protocol: Protocol) -> Words {
    match protocol {
        Protocol::Ec2 => (503, "Unavailable", "The service is unavailable. Please try again shortly."),
        Protocol::Sts => {
            (503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server.")
        }
        _ => (503, "ServiceUnavailableException", "Service Unavailable. Please try again later."),
    }
}

fn expired_token(protocol: Protocol) -> Words {
    match protocol {
        Protocol::Ec2 => (400, "RequestExpired", "Request has expired."),
        Protocol::Sts => (403, "ExpiredToken", "The security token included in the request is expired"),
        _ => (400, "ExpiredTokenException", "The security token included in the request is expired"),
    }
}

fn denied(request: &Request, world: &World) -> ApiError {
    let user = format!("arn:{}:sts::{}:assumed-role/simaws/session", world.partition(), world.account);
    let operation = &request.operation;
    match request.protocol {
        Protocol::Ec2 => {
            let message = format!(
                "You are not authorized to perform this operation. User: {user} is not authorized to perform: {operation} because no identity-based policy allows the {operation} action"
            );
            ApiError::new(403, "UnauthorizedOperation", &message)
        }
        protocol => {
            let (status, code) =
                if protocol == Protocol::Ecs { (400, "AccessDeniedException") } else { (403, "AccessDenied") };
            let resource = resource(request, world);
            let message = format!(
                "User: {user} is not authorized to perform: {operation} on resource: {resource} because no identity-based policy allows the {operation} action"
            );
            ApiError::new(status, code, &message)
        }
    }
}

fn resource(request: &Request, world: &World) -> String {
    let cluster = request.cluster().map(|name| world.cluster_arn(name));
    cluster.or_else(|| request.text("RoleArn").map(str::to_owned)).unwrap_or_else(|| "*".to_owned())
}
