//! Every kind of fault as seen by a client.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simaws::{Cluster, Fault, FaultKind, Options, SimAws, Task};

use crate::client::{Reply, connect, ec2, ecs, listing, sts, try_ecs, write_request};
use crate::{start, world};

fn with(kind: FaultKind) -> SimAws {
    let aws = start(world());
    aws.add_fault(Fault::always("*", kind));
    aws
}

fn list_tasks(aws: &SimAws) -> Reply {
    ecs(aws, "ListTasks", json!({"cluster": "prod"}))
}

#[test]
fn errors_have_the_format_of_each_service() {
    let own = FaultKind::Error { status: 418, code: "Teapot".to_owned(), message: "short".to_owned() };
    let table = [
        (FaultKind::Throttle, (400, "ThrottlingException"), (503, "RequestLimitExceeded"), (400, "Throttling")),
        (FaultKind::ServerError, (500, "ServerException"), (500, "InternalError"), (500, "InternalFailure")),
        (
            FaultKind::Unavailable,
            (503, "ServiceUnavailableException"),
            (503, "Unavailable"),
            (503, "ServiceUnavailable"),
        ),
        (FaultKind::Denied, (400, "AccessDeniedException"), (403, "UnauthorizedOperation"), (403, "AccessDenied")),
        (FaultKind::ExpiredToken, (400, "ExpiredTokenException"), (400, "RequestExpired"), (403, "ExpiredToken")),
        (own, (418, "Teapot"), (418, "Teapot"), (418, "Teapot")),
    ];
    for (kind, in_ecs, in_ec2, in_sts) in table {
        let aws = with(kind);
        let owned = |(status, code): (u16, &str)| (status, code.to_owned());
        assert_eq!(list_tasks(&aws).error(), owned(in_ecs));
        assert_eq!(ec2(&aws, "").xml_error(), owned(in_ec2));
        assert_eq!(sts(&aws, "Action=GetCallerIdentity").xml_error(), owned(in_sts));
        assert!(aws.unexpected().is_empty());
    }
}

#[test]
fn throttled_calls_are_counted() {
    let aws = with(FaultKind::Throttle);
    list_tasks(&aws);
    assert_eq!((aws.calls().throttled(), aws.calls().get("ecs:ListTasks")), (1, 1));
}

#[test]
fn denial_names_user_action_and_resource() {
    let message = list_tasks(&with(FaultKind::Denied)).json()["message"].as_str().unwrap().to_owned();
    let expected = "User: arn:aws:sts::123456789012:assumed-role/simaws/session is not authorized to perform: ecs:ListTasks on resource: arn:aws:ecs:us-east-1:123456789012:cluster/prod because";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn hanging_call_ends_with_the_server() {
    let aws = with(FaultKind::Hang);
    let mut streams = [connect(&aws), connect(&aws)];
    for stream in &mut streams {
        write_request(stream, "GET /credentials", "", "").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    }
    let error = streams[0].read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    while aws.calls().total() < 2 {
        std::thread::yield_now();
    }
    assert_eq!(aws.calls().max_in_flight(), 2);
    drop(aws);
    let end = streams[0].read(&mut [0]);
    assert!(matches!(end, Ok(0)) || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
}

#[test]
fn slow_body_takes_eight_pauses() {
    let aws = with(FaultKind::SlowBody { chunk_millis: 5 });
    let start = Instant::now();
    let reply = list_tasks(&aws);
    assert!(start.elapsed() >= Duration::from_millis(40), "{:?}", start.elapsed());
    assert!(reply.complete && reply.json()["taskArns"].is_array());
}

#[test]
fn latency_delays_every_call() {
    let aws = start(world());
    aws.set_options(Options { latency: Duration::from_millis(30), ..Options::default() });
    let start = Instant::now();
    list_tasks(&aws);
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[test]
fn spans_record_start_and_end_of_each_call() {
    let aws = start(world());
    aws.set_options(Options { latency: Duration::from_millis(30), ..Options::default() });
    aws.add_fault(Fault::always("sts:GetCallerIdentity", FaultKind::Throttle));
    list_tasks(&aws);
    sts(&aws, "Action=GetCallerIdentity");
    // The client may read a response before the server records its end.
    while aws.calls().spans().len() < 2 {
        std::thread::yield_now();
    }
    let calls = aws.take_calls();
    let spans: Vec<_> = calls.spans().collect();
    assert_eq!([spans[0].operation.as_str(), &spans[1].operation], ["ecs:ListTasks", "sts:GetCallerIdentity"]);
    assert_eq!([spans[0].throttled, spans[1].throttled], [false, true]);
    assert_eq!([&spans[0].fault, &spans[1].fault], [&None, &Some(FaultKind::Throttle)]);
    assert_eq!((spans[0].cluster.as_deref(), spans[0].continues), (Some("prod"), false));
    assert!(spans.iter().all(|span| span.ended - span.begun >= Duration::from_millis(30)));
    assert!(spans[0].ended <= spans[1].begun);
    assert_eq!(aws.calls().spans().len(), 0);
}

#[test]
fn cut_body_is_shorter_than_announced() {
    let reply = list_tasks(&with(FaultKind::CutBody));
    assert_eq!((reply.status, reply.complete), (200, false));
    assert!(reply.body.starts_with("{\"taskArns\":[\"arn"), "{reply:?}");
}

#[test]
fn malformed_response_is_valid_http_with_half_a_document() {
    let aws = with(FaultKind::Malformed);
    let reply = list_tasks(&aws);
    assert_eq!((reply.status, reply.complete), (200, true));
    assert!(serde_json::from_str::<Value>(&reply.body).is_err());
    let reply = ec2(&aws, "");
    assert!(reply.complete && reply.body.starts_with("<?xml") && !reply.body.contains("</DescribeInstancesResponse>"));
}

#[test]
fn reset_closes_the_connection_with_a_reset() {
    let error = try_ecs(&with(FaultKind::Reset), "ListTasks", &json!({})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn empty_responses() {
    let reply = list_tasks(&with(FaultKind::EmptyBody));
    assert_eq!((reply.status, reply.body.as_str(), reply.complete), (200, "", true));
    let aws = with(FaultKind::EmptyObject);
    assert_eq!(list_tasks(&aws).body, "{}");
    let xml =
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"></DescribeInstancesResponse>";
    assert_eq!(ec2(&aws, "").body, xml);
}

#[test]
fn html_page_of_a_proxy() {
    let reply = list_tasks(&with(FaultKind::Html));
    assert!(reply.head.contains("content-type: text/html") && reply.body.starts_with("<!DOCTYPE html>"));
    assert_eq!(reply.status, 200);
}

#[test]
fn empty_pages_lose_no_items() {
    let aws = with(FaultKind::EmptyPageWithToken);
    let mut cluster = Cluster::new("big");
    cluster.tasks = (0..150).map(|n| Task::fargate(&format!("t{n}"), "web:3")).collect();
    aws.change(|world| world.add_cluster(cluster).clusters.len());
    let (pages, found) = listing(&aws, "ListTasks", "taskArns", json!({"cluster": "big"}));
    assert_eq!((pages, found.len()), (4, 150));
    let reply = ec2(&aws, "");
    assert!(reply.body.contains("<reservationSet/>") && !reply.all("nextToken").is_empty());
}

#[test]
fn repeated_token_is_returned_for_ever() {
    let aws = with(FaultKind::RepeatedToken);
    let mut body = json!({"cluster": "prod"});
    let token = ecs(&aws, "ListTasks", body.clone()).json()["nextToken"].clone();
    assert!(token.is_string());
    body["nextToken"] = token.clone();
    for _ in 0..3 {
        assert_eq!(ecs(&aws, "ListTasks", body.clone()).json()["nextToken"], token);
    }
    assert!(aws.unexpected().is_empty());
}

#[test]
fn rules_select_calls() {
    let aws = start(world());
    aws.add_fault(Fault::once("ecs:ListTasks", FaultKind::Throttle).cluster("empty"));
    aws.add_fault(Fault::always("ecs:DescribeTaskDefinition", FaultKind::Denied).matching("web:3").skip(1));
    assert_eq!(list_tasks(&aws).status, 200);
    let empty = || ecs(&aws, "ListTasks", json!({"cluster": "empty"})).status;
    assert_eq!([empty(), empty()], [400, 200]);
    let define = |name: &str| ecs(&aws, "DescribeTaskDefinition", json!({"taskDefinition": name})).status;
    assert_eq!([define("web:3"), define("api:1"), define("web:3"), define("web:3")], [200, 200, 400, 400]);
    aws.clear_faults();
    assert_eq!(define("web:3"), 200);
}
