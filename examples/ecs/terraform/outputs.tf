output "service_name" {
  description = "The service, in the cluster service_cluster."
  value       = aws_ecs_service.prometheus.name
}

output "task_definition_arn" {
  description = "The task definition revision that the service runs."
  value       = aws_ecs_task_definition.prometheus.arn
}

output "task_role_arn" {
  description = "The role that reads ECS and the bucket, which a role in another account must trust."
  value       = aws_iam_role.task.arn
}

output "execution_role_arn" {
  description = "The role that pulls the images, writes the logs in CloudWatch and reads the secret."
  value       = aws_iam_role.execution.arn
}

output "security_group_id" {
  description = "The security group of Prometheus, which further security groups must allow to be scraped."
  value       = aws_security_group.prometheus.id
}

output "log_group_name" {
  description = "The logs in CloudWatch."
  value       = aws_cloudwatch_log_group.prometheus.name
}
