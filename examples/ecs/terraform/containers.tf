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

  to_the_vendor = {
    logDriver = "awsfirelens"
    options = {
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
    }
    secretOptions = [
      { name = "header", valueFrom = "${var.secret_arn}:logs_authorization::" },
    ]
  }

  containers = [
    {
      name          = "log_router"
      image         = "amazon/aws-for-fluent-bit:3.2.2"
      essential     = true
      restartPolicy = { enabled = true }
      user          = "0"
      memory        = 256
      firelensConfiguration = {
        type    = "fluentbit"
        options = { enable-ecs-log-metadata = "true" }
      }
      logConfiguration = local.to_cloudwatch
    },
    {
      name                   = "config"
      image                  = "amazon/aws-cli:2.36.14"
      essential              = false
      readonlyRootFilesystem = true
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      entryPoint             = ["/bin/sh", "-euc"]
      command = [join("; ", [
        "aws s3 cp --only-show-errors s3://${var.config_bucket}/prometheus.yml /config/prometheus.yml",
        "printf %s \"$REMOTE_WRITE_TOKEN\" >/config/remote-write-token",
        "chmod 444 /config/prometheus.yml /config/remote-write-token",
      ])]
      secrets = [
        { name = "REMOTE_WRITE_TOKEN", valueFrom = "${var.secret_arn}:remote_write_token::" },
      ]
      mountPoints = [
        { sourceVolume = "config", containerPath = "/config", readOnly = false },
      ]
      logConfiguration = local.to_cloudwatch
    },
    {
      name                   = "ecs-discovery"
      image                  = var.ecs_discovery_image
      essential              = true
      restartPolicy          = { enabled = true }
      user                   = "65532:65532"
      readonlyRootFilesystem = true
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      memory                 = 128
      command                = ["-config.cluster=${var.cluster_name}", "-config.write-to=/output/ecs_file_sd.yml"]
      environment = [
        { name = "ECS_DISCOVERY_WEB_LISTEN_ADDRESS", value = "127.0.0.1:10779" },
      ]
      healthCheck = {
        command     = ["CMD", "/bin/ecs-discovery", "-healthcheck"]
        interval    = 30
        timeout     = 5
        retries     = 3
        startPeriod = 10
      }
      dependsOn = [
        { containerName = "log_router", condition = "START" },
      ]
      mountPoints = [
        { sourceVolume = "ecs-discovery", containerPath = "/output", readOnly = false },
      ]
      logConfiguration = local.to_the_vendor
    },
    {
      name                   = "prometheus"
      image                  = "prom/prometheus:v3.13.2"
      essential              = true
      restartPolicy          = { enabled = true }
      user                   = "65534:65534"
      readonlyRootFilesystem = true
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      memory                 = var.memory - 512
      stopTimeout            = 120
      command = [
        "--config.file=/config/prometheus.yml",
        "--storage.tsdb.path=/prometheus",
        "--storage.tsdb.retention.time=6h",
        "--storage.tsdb.retention.size=5GB",
      ]
      dependsOn = [
        { containerName = "config", condition = "SUCCESS" },
        { containerName = "ecs-discovery", condition = "START" },
        { containerName = "log_router", condition = "START" },
      ]
      mountPoints = [
        { sourceVolume = "config", containerPath = "/config", readOnly = true },
        { sourceVolume = "ecs-discovery", containerPath = "/output", readOnly = true },
        { sourceVolume = "prometheus", containerPath = "/prometheus", readOnly = false },
      ]
      logConfiguration = local.to_the_vendor
    },
  ]
}
