"""An AWS account, managed through boto3, and the target groups that its tasks should give."""

import json
from collections import namedtuple
from functools import cached_property, partial

import boto3

REGION = "eu-west-1"
Keys = namedtuple("Keys", "id secret token", defaults=[None])
TEST_KEYS = Keys("testing", "testing")


def docker_labels(port, job=None, path=None, scheme=None, server_name=None):
    """Returns the docker labels of a container to scrape, without those that are None."""
    label = {"PORT": str(port), "JOB_NAME": job, "PATH": path, "SCHEME": scheme, "SERVER_NAME": server_name}
    return {f"PROMETHEUS_EXPORTER_{name}": text for name, text in label.items() if text is not None}


class Account:
    def __init__(self, endpoint, keys=TEST_KEYS, trust=None, region=REGION):
        """trust: path of the CA certificate, if the endpoint uses TLS."""
        self.endpoint, self._keys = endpoint, keys
        session = boto3.Session(keys.id, keys.secret, keys.token, region_name=region)
        self._client = partial(session.client, endpoint_url=endpoint, verify=trust)
        self.ecs, self.ec2, self.iam, self.sts = map(self._client, ("ecs", "ec2", "iam", "sts"))

    @cached_property
    def s3(self):
        return self._client("s3")

    @cached_property
    def secrets(self):
        return self._client("secretsmanager")

    # Resources

    def cluster(self, name, **more):
        return self.ecs.create_cluster(clusterName=name, **more)["cluster"]["clusterArn"]

    @cached_property
    def subnet(self):
        """A subnet within 127.0.0.0/8, so that private addresses of instances can be scraped on loopback."""
        vpc = self.ec2.create_vpc(CidrBlock="127.0.0.0/16")["Vpc"]["VpcId"]
        for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):  # required by moto for awsvpc
            self.ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})
        return self.ec2.create_subnet(VpcId=vpc, CidrBlock="127.0.0.0/24")["Subnet"]["SubnetId"]

    def fargate_task(self, cluster, family, labels, **more):
        """Runs an awsvpc task, which gets its own address; returns its ARN."""
        self.ecs.register_task_definition(
            family=family, networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            containerDefinitions=[_container(family, labels)],
        )
        network = {"subnets": [self.subnet], "securityGroups": []}
        network = {"awsvpcConfiguration": network}
        return self._run(cluster, family, launchType="FARGATE", networkConfiguration=network, **more)

    def ec2_host(self, cluster, private_address):
        """Starts an EC2 instance and registers it with the cluster."""
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        [instance] = self.ec2.run_instances(
            ImageId=image, MinCount=1, MaxCount=1, SubnetId=self.subnet, PrivateIpAddress=private_address
        )["Instances"]
        self.ecs.register_container_instance(
            cluster=cluster, instanceIdentityDocument=json.dumps({"instanceId": instance["InstanceId"]})
        )

    def host_mode_task(self, cluster, family, labels, **more):
        """Runs a host mode task on the cluster's EC2 instance; returns its ARN."""
        self.ecs.register_task_definition(
            family=family, networkMode="host", containerDefinitions=[_container(family, labels)]
        )
        return self._run(cluster, family, launchType="EC2", **more)

    def _run(self, cluster, family, **how):
        [task] = self.ecs.run_task(cluster=cluster, taskDefinition=family, **how)["tasks"]
        return task["taskArn"]

    def stop(self, cluster, task):
        self.ecs.stop_task(cluster=cluster, task=task)

    def publish(self, cluster, task):
        """Gives the network interface of a task a public address."""
        [interface] = self.described(cluster, task)["attachments"]
        details = {item["name"]: item["value"] for item in interface["details"]}
        address = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        self.ec2.associate_address(AllocationId=address, NetworkInterfaceId=details["networkInterfaceId"])

    # Events

    @cached_property
    def sqs(self):
        return self._client("sqs")

    @cached_property
    def event_bridge(self):
        return self._client("events")

    def queue_of_task_events(self, name):
        """Creates a queue, and a rule that sends the events of tasks to it; returns its URL."""
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        [arn] = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"].values()
        pattern = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"]}
        self.event_bridge.put_rule(Name=name, EventPattern=json.dumps(pattern))
        self.event_bridge.put_targets(Rule=name, Targets=[{"Id": name, "Arn": arn}])
        return url

    def put_task_event(self, cluster, task, version, status, desired="RUNNING"):
        """Puts the event that a task has this status. In moto, the version of a task is always 1."""
        statuses = {"lastStatus": status, "desiredStatus": desired}
        detail = {"clusterArn": cluster, "taskArn": task, "version": version, **statuses}
        entry = {"Source": "aws.ecs", "DetailType": "ECS Task State Change", "Detail": json.dumps(detail)}
        assert self.event_bridge.put_events(Entries=[entry])["FailedEntryCount"] == 0

    def messages(self, url):
        """Returns the number of messages in a queue, including those that have been received and not deleted."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(map(int, counts.values()))

    # Permissions

    def user_with(self, *actions, name="sidecar"):
        """Creates an IAM user with these permissions; returns its keys."""
        self.iam.create_user(UserName=name)
        if actions:
            allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            policy = {"Version": "2012-10-17", "Statement": [allowed]}
            self.iam.put_user_policy(UserName=name, PolicyName="allowed", PolicyDocument=json.dumps(policy))
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return Keys(key["AccessKeyId"], key["SecretAccessKey"])

    def role(self, name, trust, *policies):
        """Creates a role; returns its ARN."""
        arn = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        for number, policy in enumerate(policies):
            self.put_role_policy(name, str(number), policy)
        return arn

    def put_role_policy(self, role, name, policy):
        self.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))

    def session(self, role_arn):
        """Assumes the role; returns temporary credentials."""
        return self.sts.assume_role(RoleArn=role_arn, RoleSessionName="owner")["Credentials"]

    def assume(self, role_arn):
        """Returns the role's account, accessed through the role."""
        session = self.session(role_arn)
        keys = Keys(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
        return Account(self.endpoint, keys)

    def in_region(self, region):
        """Returns the same account in another region."""
        return Account(self.endpoint, self._keys, region=region)

    # Expected content of the file

    def address(self, cluster, task):
        described = self.described(cluster, task)
        if "containerInstanceArn" not in described:
            [interface] = described["attachments"]
            return {item["name"]: item["value"] for item in interface["details"]}["privateIPv4Address"]
        [host] = self.ecs.describe_container_instances(
            cluster=cluster, containerInstances=[described["containerInstanceArn"]]
        )["containerInstances"]
        found = self.ec2.describe_instances(InstanceIds=[host["ec2InstanceId"]])
        return found["Reservations"][0]["Instances"][0]["PrivateIpAddress"]

    def target_group(self, cluster, task, target):
        """Returns the expected target group of a task, with all labels taken from boto3's responses."""
        described = self.described(cluster, task)
        [container] = described["containers"]
        definition = self.ecs.describe_task_definition(taskDefinition=described["taskDefinitionArn"])["taskDefinition"]
        [defined] = definition["containerDefinitions"]
        docker = defined["dockerLabels"]
        labels = {
            "task_arn": described["taskArn"],
            "task_name": definition["family"],
            "job": docker.get("PROMETHEUS_EXPORTER_JOB_NAME"),
            "task_revision": str(definition["revision"]),
            "task_group": described["group"],
            "cluster_arn": described["clusterArn"],
            "container_name": container["name"],
            "container_arn": container["containerArn"],
            "docker_image": defined["image"],
            "__metrics_path__": docker.get("PROMETHEUS_EXPORTER_PATH"),
            "__scheme__": docker.get("PROMETHEUS_EXPORTER_SCHEME"),
        }
        return {"targets": [target], "labels": {name: text for name, text in labels.items() if text is not None}}

    def described(self, cluster, task):
        [described] = self.ecs.describe_tasks(cluster=cluster, tasks=[task], include=["TAGS"])["tasks"]
        return described


def _container(family, labels):
    return {
        "name": f"{family}-container", "image": f"registry.example/{family}:1.2.3", "essential": True,
        "cpu": 10, "memory": 64, "dockerLabels": labels,
    }
