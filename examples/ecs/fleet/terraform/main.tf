# The same as ../cloudformation.yaml. ../README.md has the steps. This directory can be copied on its own.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.region

  has_events = length(var.events_queue_urls) > 0
  own        = var.own_account || length(var.member_role_arns) == 0 ? ["self"] : []
  # Empty means self, too.
  roles = length(var.member_role_arns) > 0 ? join(",", concat(local.own, var.member_role_arns)) : ""
}

resource "aws_cloudwatch_log_group" "discovery" {
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_in_days
  tags              = var.tags
}

resource "aws_security_group" "discovery" {
  name        = var.name
  description = "ecs-discovery - inbound from its readers, outbound to AWS"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "readers" {
  security_group_id            = aws_security_group.discovery.id
  referenced_security_group_id = var.reader_security_group_id
  description                  = "Readers get the targets, Prometheus also the metrics"
  ip_protocol                  = "tcp"
  from_port                    = 10779
  to_port                      = 10779
  tags                         = var.tags
}

# No rule for DNS is needed: security groups do not filter the VPC's resolver.
resource "aws_vpc_security_group_egress_rule" "aws" {
  security_group_id = aws_security_group.discovery.id
  description       = "AWS and the image's registry"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

resource "aws_service_discovery_private_dns_namespace" "monitoring" {
  name        = var.namespace_name
  description = "Names of monitoring services"
  vpc         = var.vpc_id
  tags        = var.tags
}

# ECS registers each task, and removes one whose health check fails.
resource "aws_service_discovery_service" "discovery" {
  name = "ecs-discovery"
  tags = var.tags

  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.monitoring.id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }

  health_check_custom_config {
    failure_threshold = 1
  }
}

resource "aws_ecs_task_definition" "discovery" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn
  tags                     = var.tags

  container_definitions = jsonencode([
    {
      name      = "ecs-discovery"
      image     = var.ecs_discovery_image
      essential = true
      # The file outlives a restart of the container: it serves the last known targets from the first moment on.
      restartPolicy          = { enabled = true }
      user                   = "65532:65532"
      readonlyRootFilesystem = true
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      command = concat(
        [
          "-config.cluster=${join(",", var.clusters)}",
          "-config.region=${join(",", var.regions)}",
          "-config.role-arn=${local.roles}",
          "-config.external-id=${var.external_id}",
          "-config.scrape-interval=auto",
          "-config.meta-labels",
          "-config.write-to=/output/ecs_file_sd.yml",
        ],
        local.has_events ? ["-config.events-queue=${join(",", var.events_queue_urls)}"] : [],
      )
      environment = [
        { name = "ECS_DISCOVERY_WEB_LISTEN_ADDRESS", value = ":10779" },
      ]
      portMappings = [
        { containerPort = 10779, protocol = "tcp" },
      ]
      # Healthy means that the refresh loop runs, and not that AWS responds: an outage of AWS replaces no task.
      healthCheck = {
        command     = ["CMD", "/bin/ecs-discovery", "-healthcheck"]
        interval    = 30
        timeout     = 5
        retries     = 3
        startPeriod = 10
      }
      mountPoints = [
        { sourceVolume = "output", containerPath = "/output", readOnly = false },
      ]
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.discovery.name
          awslogs-region        = local.region
          awslogs-stream-prefix = "ecs"
        }
      }
    },
  ])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  volume {
    name = "output"
  }
}

resource "aws_ecs_service" "discovery" {
  name            = var.name
  cluster         = var.service_cluster
  task_definition = aws_ecs_task_definition.discovery.arn
  launch_type     = "FARGATE"
  desired_count   = var.replicas
  tags            = var.tags

  # New tasks start before old ones stop. Both serve the same targets, so nothing is lost or doubled.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  wait_for_steady_state              = true

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  service_registries {
    registry_arn = aws_service_discovery_service.discovery.arn
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.discovery.id]
    assign_public_ip = var.assign_public_ip
  }

  # What the task needs when it starts, but no argument above refers to.
  depends_on = [
    aws_iam_role_policy.execution,
    aws_iam_role_policy.own_account,
    aws_iam_role_policy.members,
    aws_iam_role_policy.events,
    aws_vpc_security_group_egress_rule.aws,
  ]
}
