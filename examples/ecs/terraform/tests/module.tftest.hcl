# terraform init && terraform test. Needs Terraform 1.7 for the mock, and no AWS account.

mock_provider "aws" {}

variables {
  cluster_arns                  = ["arn:aws:ecs:eu-west-1:123456789012:cluster/prod"]
  service_cluster               = "prod"
  vpc_id                        = "vpc-0123456789abcdef0"
  subnet_ids                    = ["subnet-0123456789abcdef0"]
  application_security_group_id = "sg-0123456789abcdef0"
  first_port                    = 9100
  last_port                     = 9999
  ecs_discovery_image           = "example/ecs-discovery:0.1.0"
  config_bucket                 = "example-prometheus-config"
  config_key                    = "prometheus-20261126T120000Z.yml"
  ascent_host                   = "example.apica.io"
  secret_arn                    = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecs-prometheus-AbCdEf"
}

run "logs_to_ascent" {
  assert {
    condition     = length(local.containers) == 4
    error_message = "The task has a log router, an init container, ecs-discovery and Prometheus."
  }
  assert {
    condition     = output.service_name == "ecs-prometheus" && output.log_group_name == "/ecs/ecs-prometheus"
    error_message = "Names derive from the variable name."
  }
}

run "managed_prometheus" {
  variables {
    backend      = "amp"
    workspace_id = "ws-0123abcd-4567-89ef-0123-456789abcdef"
    logs         = "cloudwatch"
    ascent_host  = ""
    secret_arn   = ""
  }

  assert {
    condition     = length(local.containers) == 3
    error_message = "There is no log router."
  }
  assert {
    condition     = length(regexall("secret", join("", local.containers))) == 0
    error_message = "There is no secret."
  }
}

run "cluster_name_instead_of_arn" {
  command = plan
  variables {
    cluster_arns = ["prod"]
  }
  expect_failures = [var.cluster_arns]
}

run "unversioned_configuration" {
  command = plan
  variables {
    config_key = "prometheus.yml"
  }
  expect_failures = [var.config_key]
}

run "workspace_is_missing" {
  command = plan
  variables {
    backend = "amp"
  }
  expect_failures = [aws_ecs_task_definition.prometheus]
}
