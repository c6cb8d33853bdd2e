variable "name" {
  description = "Name of every resource that this module creates, except the DNS names."
  type        = string
  default     = "ecs-discovery"
}

variable "tags" {
  description = "Tags of every resource that this module creates."
  type        = map(string)
  default     = {}
}

# What is discovered

variable "clusters" {
  description = "The clusters as in -config.cluster: names, ARNs or globs, such as \"team-*\". Empty means all."
  type        = list(string)
  default     = []
}

variable "list_clusters" {
  description = "False if clusters has neither globs nor exclusions and is not empty: then ecs:ListClusters is not needed."
  type        = bool
  default     = true
}

variable "regions" {
  description = "The regions. Empty means the region of the module."
  type        = list(string)
  default     = []
}

variable "own_account" {
  description = "Whether to discover the clusters of this account too, with the task role. Else only those of member_role_arns."
  type        = bool
  default     = true
}

variable "member_role_arns" {
  description = "The roles to assume in other accounts, one for each account."
  type        = list(string)
  default     = []

  validation {
    condition     = length([for arn in var.member_role_arns : arn if can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/", arn))]) == length(var.member_role_arns)
    error_message = "Each one is the ARN of an IAM role."
  }
}

variable "external_id" {
  description = "The external id that the trust policies of member_role_arns require. Empty if they require none."
  type        = string
  default     = ""
}

# Where it runs

variable "service_cluster" {
  description = "Name of the ECS cluster in which ecs-discovery itself runs."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.service_cluster))
    error_message = "This is a name, not an ARN."
  }
}

variable "vpc_id" {
  description = "VPC of the service. Its DNS resolution must be enabled."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets in that VPC, in at least two availability zones, that can reach AWS and the image's registry."
  type        = list(string)
}

variable "assign_public_ip" {
  description = "True in public subnets, false if the subnets use a NAT gateway or VPC endpoints."
  type        = bool
  default     = false
}

variable "reader_security_group_id" {
  description = "Security group of the readers, Prometheus or agents. Nothing else can reach the port."
  type        = string
}

variable "namespace_name" {
  description = "Name of the private DNS namespace to create. Readers use http://ecs-discovery.NAMESPACE:10779/targets."
  type        = string
  default     = "monitoring.internal"
}

# What runs

variable "ecs_discovery_image" {
  description = "The image of ecs-discovery."
  type        = string
}

variable "architecture" {
  description = "Architecture of the image: X86_64 or ARM64."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "Use X86_64 or ARM64."
  }
}

variable "replicas" {
  description = "Number of tasks. Each makes all the AWS calls. Two bridge the loss of an availability zone."
  type        = number
  default     = 2

  validation {
    condition     = var.replicas >= 1 && var.replicas <= 3
    error_message = "Use 1 to 3."
  }
}

variable "cpu" {
  description = "CPU units of a task. Fargate supports only certain combinations of CPU and memory."
  type        = number
  default     = 256
}

variable "memory" {
  description = "Memory of a task, in MiB. 512 are enough for more than 100,000 tasks."
  type        = number
  default     = 512
}

variable "log_retention_in_days" {
  description = "Retention of the logs, in days."
  type        = number
  default     = 30
}

# Events

variable "events_queue_urls" {
  description = "URLs of the SQS queues with task state changes. One task per queue: set replicas to 1, and use the module twice for two."
  type        = list(string)
  default     = []

  validation {
    condition     = length([for url in var.events_queue_urls : url if can(regex("^https://", url))]) == length(var.events_queue_urls)
    error_message = "These are URLs, not ARNs."
  }
}

variable "events_queue_name" {
  description = "Name of these queues, which is the same in every region, for the policy."
  type        = string
  default     = "ecs-discovery-events"
}
