# The same as cloudformation.yaml: the task of task-definition.json (here in containers.tf), its roles (iam.tf), log
# group, security group and service. The clusters, the bucket with prometheus.yml and the secret must exist: see the
# steps in ../README.md. This directory can be copied on its own.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.region
}

resource "aws_cloudwatch_log_group" "prometheus" {
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_in_days
  skip_destroy      = var.keep_log_group
  tags              = var.tags
}

resource "aws_security_group" "prometheus" {
  name        = var.name
  description = "Prometheus on ECS - no inbound traffic, outbound scrapes, metrics and logs"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

# Unlike AWS, the provider creates security groups without an egress rule.
resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.prometheus.id
  description       = "AWS, image registries and receivers"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "receiver" {
  count = var.receiver_port == 443 ? 0 : 1

  security_group_id = aws_security_group.prometheus.id
  description       = "The receiver of prometheus.yml"
  ip_protocol       = "tcp"
  from_port         = var.receiver_port
  to_port           = var.receiver_port
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "scrapes" {
  security_group_id            = aws_security_group.prometheus.id
  referenced_security_group_id = var.application_security_group_id
  description                  = "Prometheus scrapes"
  ip_protocol                  = "tcp"
  from_port                    = var.first_port
  to_port                      = var.last_port
  tags                         = var.tags
}

# A separate resource, so that the application's security group stays under its owner's control.
resource "aws_vpc_security_group_ingress_rule" "scrapes" {
  security_group_id            = var.application_security_group_id
  referenced_security_group_id = aws_security_group.prometheus.id
  description                  = "Prometheus scrapes"
  ip_protocol                  = "tcp"
  from_port                    = var.first_port
  to_port                      = var.last_port
  tags                         = var.tags
}

resource "aws_ecs_task_definition" "prometheus" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn
  container_definitions    = "[${join(",", local.containers)}]"
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  volume {
    name = "config"
  }

  volume {
    name = "ecs-discovery"
  }

  volume {
    name = "prometheus"
  }

  lifecycle {
    precondition {
      condition     = var.secret_arn != "" || (var.backend == "amp" && var.logs == "cloudwatch")
      error_message = "secret_arn is required unless backend is amp and logs is cloudwatch."
    }
    precondition {
      condition     = var.workspace_id != "" || var.backend != "amp"
      error_message = "workspace_id is required if backend is amp."
    }
    precondition {
      condition     = var.ascent_host != "" || var.logs != "ascent"
      error_message = "ascent_host is required if logs is ascent."
    }
  }
}

resource "aws_ecs_service" "prometheus" {
  name            = var.name
  cluster         = var.service_cluster
  task_definition = aws_ecs_task_definition.prometheus.arn
  launch_type     = "FARGATE"
  desired_count   = 1
  propagate_tags  = "SERVICE"
  tags            = var.tags

  # Fails the apply if the new task does not run.
  wait_for_steady_state = var.wait_for_steady_state

  # Two Prometheus servers with the same external labels would send samples of the same series, and receivers reject
  # samples that are out of order. Therefore a deployment stops the old task before it starts the new one, which leaves
  # a gap, and rebalancing, which starts the new task first, is disabled. The two can still overlap for up to
  # stopTimeout: ECS counts a task that is stopping as stopped.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  availability_zone_rebalancing      = "DISABLED"

  # Without it, ECS would restart a task that cannot start forever.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.prometheus.id]
    assign_public_ip = var.assign_public_ip
  }

  # What the task needs when it starts, but no argument above refers to.
  depends_on = [
    aws_iam_role_policy.execution,
    aws_iam_role_policy.config_bucket,
    aws_iam_role_policy.discovery,
    aws_iam_role_policy.remote_write,
    aws_vpc_security_group_egress_rule.https,
  ]
}

# By task definition, because then it exists before the service, and reports a first task that fails.
resource "aws_cloudwatch_event_rule" "stopped_tasks" {
  count = var.stopped_task_topic_arn == "" ? 0 : 1

  name        = "${var.name}-stopped"
  description = "A task of ${var.name} failed to start, or one of its containers failed"
  tags        = var.tags
  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      taskDefinitionArn = [
        { prefix = "arn:${local.partition}:ecs:${local.region}:${local.account}:task-definition/${var.name}:" },
      ]
      lastStatus = ["STOPPED"]
      # Without those that a deployment or a user stopped.
      stopCode = ["TaskFailedToStart", "EssentialContainerExited", "TerminationNotice", "SpotInterruption"]
    }
  })
}

resource "aws_cloudwatch_event_target" "stopped_tasks" {
  count = var.stopped_task_topic_arn == "" ? 0 : 1

  rule      = aws_cloudwatch_event_rule.stopped_tasks[0].name
  target_id = "topic"
  arn       = var.stopped_task_topic_arn
}
