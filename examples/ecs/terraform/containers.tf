# The containers of task-definition.json. ../README.md explains the choices.

locals {
  to_cloudwatch = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.prometheus.name
      awslogs-region        = local.region
      awslogs-stream-prefix = "ecs"
    }
  }

  to_ascent = {
    logDriver = "awsfirelens"
    options = merge({
      Name            = "http"
      Host            = var.ascent_host
      Port            = "443"
      URI             = "/v1/json_batch"
      Format          = "json"
      compress        = "gzip"
      tls             = "on"
      "tls.verify"    = "on"
      "net.keepalive" = "off"
      Retry_Limit     = "5"
    }, { for name, value in { "tls.ca_file" = "/config/ca.pem" } : name => value if local.has_ca })
    secretOptions = [
      { name = "header", valueFrom = "${var.secret_arn}:logs_authorization::" },
    ]
  }

  # The two sides of a condition must have the same type. Hence strings here, and below `for … if` instead of conditions.
  logs              = jsondecode(var.logs == "ascent" ? jsonencode(local.to_ascent) : jsonencode(local.to_cloudwatch))
  has_ca            = var.ca_certificates != ""
  after_log_router  = var.logs == "ascent" ? [{ containerName = "log_router", condition = "START" }] : []
  config_is_mounted = { sourceVolume = "config", containerPath = "/config", readOnly = true }

  log_router = merge({
    name          = "log_router"
    image         = var.log_router_image
    essential     = true
    restartPolicy = { enabled = true, restartAttemptPeriod = 60 }
    user          = "0"
    memory        = 256
    firelensConfiguration = {
      type    = "fluentbit"
      options = { enable-ecs-log-metadata = "true" }
    }
    logConfiguration = local.to_cloudwatch
    }, { for name, value in {
      dependsOn   = [{ containerName = "config", condition = "SUCCESS" }]
      mountPoints = [local.config_is_mounted]
  } : name => value if local.has_ca })

  config = merge({
    name                   = "config"
    image                  = var.config_image
    essential              = false
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    entryPoint             = ["/bin/sh", "-ec"]
    command = [join("; ", [
      "aws s3 cp --only-show-errors s3://${var.config_bucket}/${var.config_key} /config/prometheus.yml",
      "printf %s \"$REMOTE_WRITE_TOKEN\" >/config/remote-write-token",
      "printf %s \"$CA_CERTIFICATES\" >/config/ca.pem",
      "chmod 444 /config/*",
    ])]
    mountPoints = [
      { sourceVolume = "config", containerPath = "/config", readOnly = false },
    ]
    logConfiguration = local.to_cloudwatch
    }, { for name, value in {
      secrets = [{ name = "REMOTE_WRITE_TOKEN", valueFrom = "${var.secret_arn}:remote_write_token::" }]
      } : name => value if var.backend != "amp" }, { for name, value in {
      environment = [{ name = "CA_CERTIFICATES", value = var.ca_certificates }]
  } : name => value if local.has_ca })

  ecs_discovery = merge({
    name                   = "ecs-discovery"
    image                  = var.ecs_discovery_image
    essential              = true
    restartPolicy          = { enabled = true, restartAttemptPeriod = 60 }
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    memory                 = 128
    command                = ["-config.cluster=${join(",", var.cluster_arns)}", "-config.write-to=/output/ecs_file_sd.yml"]
    environment = [
      { name = "ECS_DISCOVERY_CONFIG_SCRAPE_INTERVAL", value = "auto" },
      { name = "ECS_DISCOVERY_WEB_LISTEN_ADDRESS", value = "127.0.0.1:10779" },
    ]
    healthCheck = {
      command     = ["CMD", "/bin/ecs-discovery", "-healthcheck"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 10
    }
    mountPoints = [
      { sourceVolume = "ecs-discovery", containerPath = "/output", readOnly = false },
    ]
    logConfiguration = local.logs
  }, { for name, value in { dependsOn = local.after_log_router } : name => value if var.logs == "ascent" })

  prometheus = {
    name                   = "prometheus"
    image                  = var.prometheus_image
    essential              = true
    restartPolicy          = { enabled = true, restartAttemptPeriod = 60 }
    user                   = "65534:65534"
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    memory                 = var.memory - 512
    stopTimeout            = 120
    command                = ["--agent", "--config.file=/config/prometheus.yml", "--storage.agent.path=/prometheus"]
    dependsOn = concat([
      { containerName = "config", condition = "SUCCESS" },
      { containerName = "ecs-discovery", condition = "START" },
    ], local.after_log_router)
    mountPoints = [
      local.config_is_mounted,
      { sourceVolume = "ecs-discovery", containerPath = "/output", readOnly = true },
      { sourceVolume = "prometheus", containerPath = "/prometheus", readOnly = false },
    ]
    logConfiguration = local.logs
  }

  # Encoded one by one, because lists of Terraform have elements of one type.
  containers = concat(
    var.logs == "ascent" ? [jsonencode(local.log_router)] : [],
    [jsonencode(local.config), jsonencode(local.ecs_discovery), jsonencode(local.prometheus)],
  )
}
