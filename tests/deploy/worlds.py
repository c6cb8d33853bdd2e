"""Worlds for simaws in which the example applications run."""

from examples import ECS, document


def _world(app, task, cluster=None, **more):
    """Returns a world in which the application runs once, in the cluster prod."""
    definition = document(ECS / f"{app}.json")
    running = {"id": "t1", "taskDefinition": "app:1", "group": "service:app", **task}
    return {
        "region": "eu-west-1",
        "clusters": [{"name": "prod", "tasks": [running], **(cluster or {})}],
        "taskDefinitions": [{
            "family": "app", "revision": 1, "networkMode": definition["networkMode"],
            "containerDefinitions": definition["containerDefinitions"],
        }],
        **more,
    }


def fargate_app():
    """app-task-definition.json on Fargate, at 10.0.1.17."""
    names = [container["name"] for container in document(ECS / "app-task-definition.json")["containerDefinitions"]]
    interfaces = [{"privateIpv4Address": "10.0.1.17"}]
    containers = [{"name": name, "networkInterfaces": interfaces} for name in names]
    return _world("app-task-definition", {"containers": containers})


def ec2_app():
    """app-task-definition-ec2.json on an EC2 instance, in bridge mode at 10.0.1.1:32768."""
    bindings = [{"bindIP": "0.0.0.0", "containerPort": 9102, "hostPort": 32768, "protocol": "tcp"}]
    task = {
        "launchType": "EC2", "containerInstance": "ci1",
        "containers": [{"name": "dynamic-port", "networkBindings": bindings}],
    }
    instances = [{"instanceId": "i-0a", "privateIpAddress": "10.0.1.1"}]
    registered = {"containerInstances": [{"id": "ci1", "ec2InstanceId": "i-0a"}]}
    return _world("app-task-definition-ec2", task, cluster=registered, instances=instances)


def with_service_and_interface(world):
    """Adds what only -config.meta-labels=all looks at: a service, and a network interface of the task."""
    [cluster] = world["clusters"]
    [task] = cluster["tasks"]
    details = [{"name": "networkInterfaceId", "value": "eni-1"}]
    attachments = [{"type": "ElasticNetworkInterface", "details": details}]
    labelled = cluster | {"services": [{"name": "app"}], "tasks": [task | {"attachments": attachments}]}
    interfaces = [{"networkInterfaceId": "eni-1", "publicIp": "203.0.113.1"}]
    return world | {"clusters": [labelled], "networkInterfaces": interfaces}
