# The same as cloudformation.yaml: the task of task-definition.json (here in containers.tf), its roles (iam.tf), its log
# group, its network and the service that runs it. Not made here: the cluster, the bucket with prometheus.yml, and the
# secret. ../README.md has the steps. The folder needs none of the files around it.

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
  description = "Prometheus on ECS - nothing comes in, scrapes and metrics and logs go out"
  vpc_id      = var.vpc_id
}

# Unlike AWS and CloudFormation, the provider begins with no way out.
resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.prometheus.id
  description       = "Scrapes, AWS calls, images, metrics and logs"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

# A rule of its own, so that the application's security group stays whose it is.
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

  # Two Prometheis with the same external labels would send samples of the same series, and the receiver refuses what
  # comes out of order. So the old task stops before the new one starts, at the price of a gap in each deployment; and
  # there is no rebalancing, which starts the new one first.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  availability_zone_rebalancing      = "DISABLED"

  # Without it a task that cannot start is started again and again.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.prometheus.id]
    assign_public_ip = var.assign_public_ip
  }

  # What the task needs in its first minute and no argument above refers to.
  depends_on = [
    aws_iam_role_policy.execution,
    aws_iam_role_policy.config_bucket,
    aws_iam_role_policy.discovery,
    aws_vpc_security_group_egress_rule.all,
  ]
}
