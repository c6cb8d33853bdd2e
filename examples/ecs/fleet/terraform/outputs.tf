output "targets_url" {
  description = "What readers use as url of http_sd_configs."
  value       = "http://ecs-discovery.${var.namespace_name}:10779/targets"
}

output "task_role_arn" {
  description = "The role that the roles of other accounts must trust, a variable of the module member."
  value       = aws_iam_role.task.arn
}

output "security_group_id" {
  description = "The security group of the service."
  value       = aws_security_group.discovery.id
}

output "service_name" {
  description = "The service, in service_cluster."
  value       = aws_ecs_service.discovery.name
}

output "log_group_name" {
  description = "The logs."
  value       = aws_cloudwatch_log_group.discovery.name
}
