output "queue_url" {
  description = "The value of -config.events-queue"
  value       = aws_sqs_queue.events.url
}

output "queue_arn" {
  description = "The resource of sqs:ReceiveMessage and sqs:DeleteMessage in the policy of the task role"
  value       = aws_sqs_queue.events.arn
}
