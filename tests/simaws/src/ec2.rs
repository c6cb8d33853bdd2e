//! EC2: form parameters over POST, XML responses. DescribeInstances and DescribeNetworkInterfaces.

use std::collections::BTreeSet;

use crate::paging::{Page, Wanted};
use crate::response::ApiError;
use crate::service::Call;
use crate::world::{Instance, World};
use crate::xml::Element;

pub(crate) const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
const VERSION: &str = "2016-11-15";
/// "DescribeInstances" in the EC2 API reference.
const MAX_FILTER_VALUES: usize = 200;
const MAX_RESULTS: usize = 1000;
const MIN_RESULTS: usize = 5;

/// Responds to an EC2 call.
pub(crate) fn respond(call: &mut Call<'_>) -> Result<String, ApiError> {
    match call.request.action() {
        _ if call.request.text("Version") != Some(VERSION) => Err(invalid_action()),
        "DescribeInstances" => instances(call),
        "DescribeNetworkInterfaces" => interfaces(call),
        _ => Err(invalid_action()),
    }
}

fn invalid_action() -> ApiError {
    ApiError::misuse("InvalidAction", "The action is not valid for this web service.")
}

fn instances(call: &mut Call<'_>) -> Result<String, ApiError> {
    record_foreign_ids(call);
    let page = match instance_ids(call).as_slice() {
        [] => {
            let all = call.world.instances.iter();
            filtered(call, "instance-id", all.map(|one| (one.instance_id.as_str(), one.managed)))?
        }
        ids => Page { items: by_id(call, ids)?, next: None },
    };
    let world = call.world;
    let on_page: BTreeSet<&String> = page.items.iter().collect();
    let shown = world.instances.iter().filter(|instance| on_page.contains(&instance.instance_id));
    let reservations = Element::new("reservationSet").children(shown.map(|instance| reservation(world, instance)));
    let response = Element::in_namespace("DescribeInstancesResponse", NAMESPACE).text("requestId", call.request_id);
    Ok(response.child(reservations).maybe("nextToken", page.next.as_deref()).document())
}

/// Responds to DescribeNetworkInterfaces. The client must filter: a single unknown id in NetworkInterfaceId would make
/// the whole call fail.
fn interfaces(call: &mut Call<'_>) -> Result<String, ApiError> {
    let world = call.world;
    let all = world.network_interfaces.iter();
    let page = filtered(call, "network-interface-id", all.map(|one| (one.network_interface_id.as_str(), one.managed)))?;
    let on_page: BTreeSet<&String> = page.items.iter().collect();
    let shown = world.network_interfaces.iter().filter(|one| on_page.contains(&one.network_interface_id));
    let items = shown.map(|one| {
        let association = one.public_ip.as_deref().map(|ip| Element::new("association").text("publicIp", ip));
        let item = Element::new("item").text("networkInterfaceId", &one.network_interface_id);
        item.children(association).child(Element::new("tagSet"))
    });
    let set = Element::new("networkInterfaceSet").children(items);
    let response =
        Element::in_namespace("DescribeNetworkInterfacesResponse", NAMESPACE).text("requestId", call.request_id);
    Ok(response.child(set).maybe("nextToken", page.next.as_deref()).document())
}

fn instance_ids<'a>(call: &Call<'a>) -> Vec<&'a str> {
    call.request.numbered("InstanceId.").into_values().filter_map(|id| id.get("").copied()).collect()
}

/// Records `mi-…` ids as unexpected: they are ids of Systems Manager, and sending one to EC2 is a bug of the client.
fn record_foreign_ids(call: &mut Call<'_>) {
    let parameters = call.request.body.as_object().into_iter().flatten();
    let texts = parameters.filter_map(|(_, value)| value.as_str());
    let notes = texts.filter(|text| text.starts_with("mi-")).map(|id| format!("ec2:DescribeInstances got the id {id}"));
    call.unexpected.extend(notes);
}

/// Returns the named instances, all of them or an error. There are no pages.
fn by_id(call: &Call<'_>, ids: &[&str]) -> Result<Vec<String>, ApiError> {
    if call.request.text("MaxResults").is_some() {
        let message = "The parameter instancesSet cannot be used with the parameter maxResults";
        return Err(ApiError::misuse("InvalidParameterCombination", message));
    }
    let known: BTreeSet<&str> = call.world.instances.iter().map(|instance| instance.instance_id.as_str()).collect();
    for id in ids {
        if !id.starts_with("i-") {
            let message = format!("Invalid id: \"{id}\" (expecting \"i-...\")");
            return Err(ApiError::new(400, "InvalidInstanceID.Malformed", &message));
        }
        if !known.contains(id) {
            let message = format!("The instance ID '{id}' does not exist");
            return Err(ApiError::new(400, "InvalidInstanceID.NotFound", &message));
        }
    }
    let matching = filter(call, "instance-id")?;
    Ok(ids.iter().filter(|id| matching.allows(id)).map(|id| (*id).to_owned()).collect())
}

/// Returns a page of those ids that the filter of this name allows; managed resources are hidden unless asked for.
fn filtered<'a>(
    call: &mut Call<'_>,
    filter_name: &str,
    all: impl Iterator<Item = (&'a str, bool)>,
) -> Result<Page, ApiError> {
    let size = page_size(call)?;
    let filter = filter(call, filter_name)?;
    let include_managed = call.request.text("IncludeManagedResources") == Some("true");
    let list = || {
        let visible = all.filter(|(_, managed)| include_managed || !managed).map(|(id, _)| id);
        visible.filter(|id| filter.allows(id)).map(str::to_owned).collect()
    };
    let listing = format!("{} {filter_name} {include_managed} {:?}", call.scope, filter.ids);
    let token = call.request.text("NextToken");
    let wanted = Wanted { listing: &listing, token, size: call.page_size(size), fault: call.page_fault };
    let page = call.tokens.page(wanted, list);
    page.ok_or_else(|| ApiError::misuse("InvalidNextToken", "The specified NextToken is not valid."))
}

fn page_size(call: &Call<'_>) -> Result<usize, ApiError> {
    let Some(text) = call.request.text("MaxResults") else { return Ok(MAX_RESULTS) };
    let size = text.parse().ok().filter(|size| (MIN_RESULTS..=MAX_RESULTS).contains(size));
    size.ok_or_else(|| {
        let message =
            format!("Value ( {text} ) for parameter maxResults is invalid. Expecting a value from 5 to 1000.");
        ApiError::misuse("InvalidParameterValue", &message)
    })
}

/// A filter by id. Without ids it allows everything.
struct Filter<'a> {
    ids: Option<BTreeSet<&'a str>>,
}

impl Filter<'_> {
    fn allows(&self, id: &str) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(id))
    }
}

fn filter<'a>(call: &Call<'a>, allowed: &str) -> Result<Filter<'a>, ApiError> {
    let mut found = Filter { ids: None };
    for (number, parts) in call.request.numbered("Filter.") {
        let name = parts.get("Name").copied().unwrap_or_default();
        let values: Vec<_> = call
            .request
            .numbered(&format!("Filter.{number}.Value."))
            .into_values()
            .filter_map(|one| one.get("").copied())
            .collect();
        if name != allowed || found.ids.is_some() || values.is_empty() {
            let message = format!("The filter '{name}' is invalid");
            return Err(ApiError::misuse("InvalidParameterValue", &message));
        }
        if values.len() > MAX_FILTER_VALUES {
            let message = "The maximum number of filter values specified on a single call is 200";
            return Err(ApiError::misuse("FilterLimitExceeded", message));
        }
        found.ids = Some(values.into_iter().collect());
    }
    Ok(found)
}

fn reservation(world: &World, instance: &Instance) -> Element {
    let reservation = Element::new("item")
        .text("reservationId", &format!("r-{}", instance.instance_id.trim_start_matches("i-")))
        .text("ownerId", &world.account)
        .child(Element::new("groupSet"));
    reservation.child(Element::new("instancesSet").child(item(instance)))
}

fn item(instance: &Instance) -> Element {
    let state = Element::new("instanceState").text("code", state_code(&instance.state)).text("name", &instance.state);
    let tags = instance.tags.iter().map(|(key, value)| Element::new("item").text("key", key).text("value", value));
    Element::new("item")
        .text("instanceId", &instance.instance_id)
        .child(state)
        .maybe("privateDnsName", Some(instance.private_dns_name.as_deref().unwrap_or_default()))
        .maybe("instanceType", instance.instance_type.as_deref())
        .maybe("privateIpAddress", instance.private_ip_address.as_deref())
        .maybe("ipAddress", instance.public_ip_address.as_deref())
        .maybe("ipv6Address", instance.ipv6_address.as_deref())
        .child(network_interfaces(instance))
        .child(Element::new("tagSet").children(tags))
}

fn network_interfaces(instance: &Instance) -> Element {
    let v6 = instance.ipv6_address.as_deref();
    let v6 = v6.map(|address| Element::new("item").text("ipv6Address", address).text("isPrimaryIpv6", "true"));
    let interface = Element::new("item")
        .text("networkInterfaceId", &format!("eni-{}", instance.instance_id.trim_start_matches("i-")))
        .maybe("privateIpAddress", instance.private_ip_address.as_deref())
        .child(Element::new("ipv6AddressesSet").children(v6));
    Element::new("networkInterfaceSet").child(interface)
}

/// "InstanceState" in the EC2 API reference.
fn state_code(state: &str) -> &'static str {
    match state {
        "pending" => "0",
        "shutting-down" => "32",
        "terminated" => "48",
        "stopping" => "64",
        "stopped" => "80",
        _ => "16",
    }
}
