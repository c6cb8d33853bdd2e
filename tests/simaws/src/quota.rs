//! AWS's request quotas as token buckets.
//!
//! Source of the numbers: "Request throttling for the Amazon ECS API" and "Request throttling for the Amazon EC2 API".

use std::time::Instant;

use crate::request::Request;

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    burst: f64,
    refill_per_second: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn full(burst: u32, refill_per_second: u32, now: Instant) -> Self {
        let burst = f64::from(burst);
        Self { burst, refill_per_second: f64::from(refill_per_second), level: burst, at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let refilled = now.saturating_duration_since(self.at).as_secs_f64() * self.refill_per_second;
        self.level = self.burst.min(self.level + refilled);
        self.at = now;
        let granted = self.level >= 1.0;
        if granted {
            self.level -= 1.0;
        }
        granted
    }
}

/// The buckets of one account in one region.
#[derive(Debug)]
pub(crate) struct Quotas {
    /// Shared by ListTasks, DescribeTasks and DescribeContainerInstances.
    cluster_resources: Bucket,
    task_definitions: Bucket,
    clusters: Bucket,
    services: Bucket,
    instances_by_filter_or_page: Bucket,
    instances_with_neither: Bucket,
    interfaces_by_filter_or_page: Bucket,
    interfaces_with_neither: Bucket,
}

impl Quotas {
    /// Returns full buckets.
    pub(crate) fn full(now: Instant) -> Self {
        Self {
            cluster_resources: Bucket::full(100, 20, now),
            task_definitions: Bucket::full(50, 20, now),
            clusters: Bucket::full(50, 20, now),
            services: Bucket::full(100, 20, now),
            instances_by_filter_or_page: Bucket::full(100, 20, now),
            instances_with_neither: Bucket::full(50, 10, now),
            interfaces_by_filter_or_page: Bucket::full(100, 20, now),
            interfaces_with_neither: Bucket::full(50, 10, now),
        }
    }

    /// Takes a token from the bucket of the request, or returns false if it is empty.
    pub(crate) fn grants(&mut self, request: &Request, now: Instant) -> bool {
        let bucket = match request.operation.as_str() {
            "ecs:ListTasks" | "ecs:DescribeTasks" | "ecs:DescribeContainerInstances" => &mut self.cluster_resources,
            "ecs:DescribeTaskDefinition" => &mut self.task_definitions,
            "ecs:ListClusters" | "ecs:DescribeClusters" => &mut self.clusters,
            "ecs:ListServices" | "ecs:DescribeServices" => &mut self.services,
            "ec2:DescribeInstances" if filters_or_pages(request) => &mut self.instances_by_filter_or_page,
            "ec2:DescribeInstances" => &mut self.instances_with_neither,
            "ec2:DescribeNetworkInterfaces" if filters_or_pages(request) => &mut self.interfaces_by_filter_or_page,
            "ec2:DescribeNetworkInterfaces" => &mut self.interfaces_with_neither,
            _ => return true,
        };
        bucket.take(now)
    }
}

fn filters_or_pages(request: &Request) -> bool {
    ["Filter.1.Name", "MaxResults", "NextToken"].iter().any(|parameter| request.text(parameter).is_some())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn granted(quotas: &mut Quotas, request: &Request, now: Instant) -> usize {
        (0..1000).take_while(|_| quotas.grants(request, now)).count()
    }

    #[test]
    fn list_and_describe_tasks_share_a_bucket_that_refills() {
        let start = Instant::now();
        let mut quotas = Quotas::full(start);
        let list = Request::ecs("ListTasks", "{}");
        assert_eq!(granted(&mut quotas, &list, start), 100);
        assert_eq!(granted(&mut quotas, &Request::ecs("DescribeTasks", "{}"), start), 0);
        assert_eq!(granted(&mut quotas, &Request::ecs("DescribeTaskDefinition", "{}"), start), 50);
        assert_eq!(granted(&mut quotas, &list, start + Duration::from_secs(2)), 40);
        assert_eq!(granted(&mut quotas, &list, start + Duration::from_secs(99)), 100);
    }

    #[test]
    fn ec2_has_a_separate_bucket_for_filters_and_pages() {
        let start = Instant::now();
        let mut quotas = Quotas::full(start);
        let by_id = Request::form("Action=DescribeInstances&InstanceId.1=i-1");
        let by_filter = Request::form("Action=DescribeInstances&Filter.1.Name=instance-id");
        assert_eq!(granted(&mut quotas, &by_id, start), 50);
        assert_eq!(granted(&mut quotas, &by_filter, start), 100);
        let interfaces = Request::form("Action=DescribeNetworkInterfaces&Filter.1.Name=network-interface-id");
        assert_eq!(granted(&mut quotas, &interfaces, start), 100);
        assert_eq!(granted(&mut quotas, &Request::form("Action=AssumeRole"), start), 1000);
    }

    #[test]
    fn services_have_a_bucket_and_clusters_share_one() {
        let start = Instant::now();
        let mut quotas = Quotas::full(start);
        assert_eq!(granted(&mut quotas, &Request::ecs("DescribeServices", "{}"), start), 100);
        assert_eq!(granted(&mut quotas, &Request::ecs("DescribeClusters", "{}"), start), 50);
        assert_eq!(granted(&mut quotas, &Request::ecs("ListClusters", "{}"), start), 0);
    }
}
