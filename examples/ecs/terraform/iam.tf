# ECS may assume the roles for tasks of this account only.
locals {
  trust_ecs_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "ecs-tasks.amazonaws.com" }
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account }
          ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account}:*" }
        }
      },
    ]
  })
}

# The permissions of the programs in the task.
resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  description        = "ecs-discovery reads ECS; the config container reads prometheus.yml"
  assume_role_policy = local.trust_ecs_tasks
  tags               = var.tags
}

resource "aws_iam_role_policy" "discovery" {
  name = "discovery"
  role = aws_iam_role.task.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      merge({
        Effect = "Allow"
        Action = concat(
          ["ecs:ListTasks", "ecs:DescribeTasks"],
          var.tasks_on_instances ? ["ecs:DescribeContainerInstances"] : [],
        )
        Resource = "*"
      }, { for name, value in { Condition = { ArnEquals = { "ecs:cluster" = var.cluster_arns } } } : name => value if length(var.cluster_arns) > 0 }),
      # These support neither resource-level permissions nor the condition ecs:cluster.
      {
        Effect = "Allow"
        Action = concat(
          length(var.cluster_arns) == 0 ? ["ecs:ListClusters"] : [],
          ["ecs:DescribeTaskDefinition"],
          var.tasks_on_instances ? ["ec2:DescribeInstances"] : [],
        )
        Resource = "*"
      },
    ]
  })
}

resource "aws_iam_role_policy" "config_bucket" {
  name = "config-bucket"
  role = aws_iam_role.task.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = "s3:GetObject"
        # Of every version, so that a rollback does not depend on this policy.
        Resource = "arn:${local.partition}:s3:::${var.config_bucket}/prometheus-*.yml"
      },
    ]
  })
}

resource "aws_iam_role_policy" "remote_write" {
  count = var.backend == "amp" ? 1 : 0

  name = "remote-write"
  role = aws_iam_role.task.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "aps:RemoteWrite"
        Resource = "arn:${local.partition}:aps:${local.region}:${local.account}:workspace/${var.workspace_id}"
      },
    ]
  })
}

# The permissions of ECS itself, to start the task and to write its logs. No program in the task has this role.
resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "ECS pulls the images, writes the awslogs streams and reads the one secret"
  assume_role_policy = local.trust_ecs_tasks
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name = "execution"
  role = aws_iam_role.execution.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(var.secret_arn == "" ? [] : [
      {
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = var.secret_arn
      },
      ], [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.prometheus.arn}:log-stream:*"
      },
      {
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
        Resource = "arn:${local.partition}:ecr:${local.region}:${local.account}:repository/*"
      },
      {
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
    ])
  })
}
