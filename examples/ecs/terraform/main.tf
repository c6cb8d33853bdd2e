# The same as cloudformation.yaml: the task of task-definition.json (here in containers.tf), its roles (iam.tf), log
# group, security group and service. The cluster, the bucket with prometheus.yml and the secret must exist: see the
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
}

resource "aws_security_group" "prometheus" {
  name        = var.name
  description = "Prometheus on ECS - no inbound traffic, outbound scrapes, metrics and logs"
  vpc_id      = var.vpc_id
}

# Unlike AWS and CloudFormation, the provider creates security groups without an egress rule.
resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.prometheus.id
  description       = "Scrapes, AWS calls, images, metrics and logs"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

# A separate resource, so that the application's security group stays under its owner's control.
resource "aws_vpc_security_group_ingress_rule" "scrapes" {
  security_group_id            = var.application_security_group_id
  referenced_security_group_id = aws_security_group.prometheus.id
  description                  = "Prometheus scrapes"
  ip_protocol                  = "tcp"
  from_port                    = var.first_port
  to_port                      = var.last_port
}

resource "aws_ecs_task_definition" "prometheus" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn
  container_definitions    = jsonencode(local.containers)

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
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
}

resource "aws_ecs_service" "prometheus" {
  name            = var.name
  cluster         = var.cluster_name
  task_definition = aws_ecs_task_definition.prometheus.arn
  launch_type     = "FARGATE"
  desired_count   = 1

  # Two Prometheus servers with the same external labels would send samples of the same series, and the receiver rejects
  # samples that are out of order. Therefore the old task stops before the new one starts, which leaves a gap in each
  # deployment, and rebalancing, which starts the new task first, is disabled.
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
    aws_vpc_security_group_egress_rule.all,
  ]
}
