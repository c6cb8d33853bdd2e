output "service_name" {
  description = "The service, in the cluster that is scraped."
  value       = aws_ecs_service.prometheus.name
}

output "task_definition_arn" {
  description = "The revision that the service runs."
  value       = aws_ecs_task_definition.prometheus.arn
}

output "task_role_arn" {
  description = "Who reads ECS and the bucket, and whom a role in another account has to trust."
  value       = aws_iam_role.task.arn
}

output "execution_role_arn" {
  description = "Who pulls the images, writes the log router's logs and reads the secret."
  value       = aws_iam_role.execution.arn
}

output "security_group_id" {
  description = "Whose traffic further security groups have to let in to be scraped."
  value       = aws_security_group.prometheus.id
}

output "log_group_name" {
  description = "The log router's own logs."
  value       = aws_cloudwatch_log_group.prometheus.name
}
