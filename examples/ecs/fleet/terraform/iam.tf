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

# The permissions of ecs-discovery.
resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  description        = "ecs-discovery reads the clusters of this account and assumes the roles of the others"
  assume_role_policy = local.trust_ecs_tasks
  tags               = var.tags
}

resource "aws_iam_role_policy" "own_account" {
  count = length(local.own)
  name  = "discovery"
  role  = aws_iam_role.task.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = concat(
          var.list_clusters ? ["ecs:ListClusters"] : [],
          [
            "ecs:ListTasks",
            "ecs:DescribeTasks",
            "ecs:DescribeTaskDefinition",
            "ecs:DescribeContainerInstances",
            "ec2:DescribeInstances",
          ],
        )
        Resource = "*"
      },
    ]
  })
}

resource "aws_iam_role_policy" "members" {
  count = length(var.member_role_arns) > 0 ? 1 : 0
  name  = "members"
  role  = aws_iam_role.task.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = var.member_role_arns
      },
    ]
  })
}

resource "aws_iam_role_policy" "events" {
  count = local.has_events ? 1 : 0
  name  = "events"
  role  = aws_iam_role.task.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
        Resource = "arn:${local.partition}:sqs:*:${local.account}:${var.events_queue_name}"
      },
    ]
  })
}

# The permissions of ECS itself, to pull the image and to write logs.
resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "ECS pulls the image and writes the logs"
  assume_role_policy = local.trust_ecs_tasks
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name = "execution"
  role = aws_iam_role.execution.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.discovery.arn}:log-stream:*"
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
    ]
  })
}
