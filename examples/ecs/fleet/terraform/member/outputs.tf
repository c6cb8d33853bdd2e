output "role_arn" {
  description = "One of member_role_arns of the module of ecs-discovery."
  value       = aws_iam_role.discovery.arn
}
