//! EC2: DescribeInstances and DescribeNetworkInterfaces.

use simaws::{Instance, NetworkInterface, Options, World};

use crate::client::{ec2, send};
use crate::{start, world};

fn many(count: usize) -> World {
    (0..count).fold(World::default(), |world, n| world.with_instance(Instance::new(&format!("i-{n}"), "10.0.0.1")))
}

fn encoded(token: &str) -> String {
    token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

#[test]
fn instances_are_found_by_filter() {
    let aws = start(world());
    aws.change(|world| world.instance_mut("i-1").public_ip_address = Some("3.0.0.1".to_owned()));
    let reply = ec2(&aws, "&Filter.1.Name=instance-id&Filter.1.Value.1=i-1&Filter.1.Value.2=i-2&Filter.1.Value.3=i-9");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.all("instanceId"), ["i-1"], "managed instances are omitted");
    assert!(reply.body.contains("<privateIpAddress>10.1.0.1</privateIpAddress><ipAddress>3.0.0.1</ipAddress>"));
    assert!(reply.body.contains("<item><key>Name</key><value>a&lt;b</value></item>"));
    assert!(reply.body.contains("<instanceState><code>16</code><name>running</name></instanceState>"));
    assert!(!reply.body.contains("nextToken"));
    let reply = ec2(&aws, "&Filter.1.Name=instance-id&Filter.1.Value.1=i-2&IncludeManagedResources=true");
    assert_eq!(reply.all("instanceId"), ["i-2"]);
    let reply = ec2(&aws, "&Filter.1.Name=instance-id&Filter.1.Value.1=i-9");
    assert!(reply.body.contains("<reservationSet/>"), "{}", reply.body);
    assert!(aws.unexpected().is_empty());
}

#[test]
fn instances_are_found_by_id_or_the_call_fails() {
    let aws = start(world());
    assert_eq!(ec2(&aws, "&InstanceId.1=i-2&InstanceId.2=i-1").all("instanceId"), ["i-1", "i-2"]);
    let unknown = ec2(&aws, "&InstanceId.1=i-1&InstanceId.2=i-9");
    assert_eq!(unknown.xml_error(), (400, "InvalidInstanceID.NotFound".to_owned()));
    assert!(aws.unexpected().is_empty());
    let malformed = ec2(&aws, "&InstanceId.1=mi-0a");
    assert_eq!(malformed.xml_error(), (400, "InvalidInstanceID.Malformed".to_owned()));
    assert_eq!(aws.unexpected(), ["ec2:DescribeInstances got the id mi-0a"]);
    ec2(&aws, "&Filter.1.Name=instance-id&Filter.1.Value.1=mi-0b");
    assert_eq!(aws.unexpected().len(), 2);
}

#[test]
fn any_page_size_gives_the_same_instances() {
    let aws = start(many(23));
    for size in [1, 5, 23, 100] {
        aws.set_options(Options { page_size: Some(size), ..Options::default() });
        let (mut found, mut token) = (Vec::new(), String::new());
        for page in 1.. {
            let reply = ec2(&aws, &format!("&MaxResults=10{token}"));
            found.extend(reply.all("instanceId"));
            match reply.all("nextToken").first() {
                Some(next) => token = format!("&NextToken={}", encoded(next)),
                None => {
                    assert_eq!(page, 23_usize.div_ceil(size.min(10)));
                    break;
                }
            }
        }
        let expected: Vec<_> = (0..23).map(|n| format!("i-{n}")).collect();
        assert_eq!(found, expected);
    }
    assert!(aws.unexpected().is_empty());
}

#[test]
fn exceeded_limits_are_rejected_and_recorded() {
    let aws = start(many(1));
    let values: String = (0..201).map(|n| format!("&Filter.1.Value.{}=i-{n}", n + 1)).collect();
    let too_many = format!("&Filter.1.Name=instance-id{values}");
    let rejected = [
        (too_many.as_str(), "FilterLimitExceeded"),
        ("&MaxResults=4", "InvalidParameterValue"),
        ("&MaxResults=1001", "InvalidParameterValue"),
        ("&MaxResults=5&InstanceId.1=i-0", "InvalidParameterCombination"),
        ("&NextToken=x", "InvalidNextToken"),
        ("&Filter.1.Name=vpc-id&Filter.1.Value.1=x", "InvalidParameterValue"),
        ("&Filter.1.Name=instance-id", "InvalidParameterValue"),
    ];
    for (index, (parameters, code)) in rejected.into_iter().enumerate() {
        assert_eq!(ec2(&aws, parameters).xml_error(), (400, code.to_owned()), "{parameters}");
        assert_eq!(aws.unexpected().len(), index + 1);
    }
    let unknown = send(&aws, "POST /", "Action=DescribeVpcs&Version=2016-11-15");
    assert_eq!(unknown.xml_error(), (400, "InvalidAction".to_owned()));
    assert!(unknown.body.contains("<Response><Errors><Error><Code>") && unknown.body.contains("<RequestID>"));
    assert_eq!(aws.calls().get("ec2:DescribeVpcs"), 1);
}

#[test]
fn network_interfaces_are_found_by_filter() {
    let world = world()
        .with_network_interface(NetworkInterface::new("eni-1", Some("203.0.113.1")))
        .with_network_interface(NetworkInterface::new("eni-2", None))
        .with_network_interface(NetworkInterface { managed: true, ..NetworkInterface::new("eni-3", None) });
    let aws = start(world);
    let describe = |parameters: &str| {
        let body = format!("Action=DescribeNetworkInterfaces&Version=2016-11-15{parameters}");
        send(&aws, "POST /", &body)
    };
    let filter =
        "&Filter.1.Name=network-interface-id&Filter.1.Value.1=eni-1&Filter.1.Value.2=eni-2&Filter.1.Value.3=eni-3";
    let reply = describe(filter);
    assert_eq!(reply.all("networkInterfaceId"), ["eni-1", "eni-2"], "managed ones are omitted");
    assert_eq!(reply.all("publicIp"), ["203.0.113.1"]);
    let reply = describe(&format!("{filter}&IncludeManagedResources=true"));
    assert_eq!(reply.all("networkInterfaceId"), ["eni-1", "eni-2", "eni-3"]);
    assert!(aws.unexpected().is_empty());
    let values: String = (0..201).map(|n| format!("&Filter.1.Value.{}=eni-{n}", n + 1)).collect();
    let reply = describe(&format!("&Filter.1.Name=network-interface-id{values}"));
    assert_eq!(reply.xml_error(), (400, "FilterLimitExceeded".to_owned()));
}
