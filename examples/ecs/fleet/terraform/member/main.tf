# The same as ../../member-role.yaml: the role in each account whose clusters are discovered from another one.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
}

# The account is the principal, and a condition names the role: a policy with the role as its principal is invalid before
# that role exists, and stops working if it is created anew.
resource "aws_iam_role" "discovery" {
  name        = "ecs-discovery"
  description = "ecs-discovery of another account reads ECS clusters"
  tags        = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { AWS = "arn:${local.partition}:iam::${var.central_account_id}:root" }
        Condition = {
          StringEquals = { "sts:ExternalId" = var.external_id }
          ArnEquals    = { "aws:PrincipalArn" = var.central_task_role_arn }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "discovery" {
  name = "discovery"
  role = aws_iam_role.discovery.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeContainerInstances"]
        Resource = "*"
        Condition = {
          ArnLike = {
            "ecs:cluster" = "arn:${local.partition}:ecs:*:${local.account}:cluster/${var.cluster_pattern}"
          }
        }
      },
      # These support neither resource-level permissions nor the condition ecs:cluster.
      {
        Effect = "Allow"
        Action = concat(
          ["ecs:DescribeTaskDefinition", "ec2:DescribeInstances"],
          var.list_clusters ? ["ecs:ListClusters"] : [],
        )
        Resource = "*"
      },
    ]
  })
}
