# A queue with the task events of this account and region, for -config.events-queue. Each process needs one of its own.

locals {
  pattern = { source = ["aws.ecs"], "detail-type" = ["ECS Task State Change"] }
}

resource "aws_sqs_queue" "events" {
  name = var.queue_name
  # Older events are of no use: a refresh has found what they tell of.
  message_retention_seconds = 300
  # EventBridge cannot send to a queue that is encrypted with the key that AWS manages in KMS.
  sqs_managed_sse_enabled = true
}

resource "aws_cloudwatch_event_rule" "tasks" {
  name          = var.queue_name
  description   = "ECS task state changes, for ecs-discovery"
  event_pattern = jsonencode(local.pattern)
}

resource "aws_cloudwatch_event_target" "queue" {
  rule      = aws_cloudwatch_event_rule.tasks.name
  target_id = "ecs-discovery"
  arn       = aws_sqs_queue.events.arn
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "EventBridge"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.events.arn
        Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.tasks.arn } }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.events.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
