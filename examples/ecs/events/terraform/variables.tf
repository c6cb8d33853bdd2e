variable "queue_name" {
  description = "The name of the queue and of the rule; each process has its own"
  type        = string
  default     = "ecs-discovery"
}
