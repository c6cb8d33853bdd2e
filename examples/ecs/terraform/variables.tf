variable "name" {
  description = "What everything made here is called. One for each cluster that is scraped."
  type        = string
  default     = "ecs-prometheus"
}

# What is scraped

variable "cluster_name" {
  description = "Name of the ECS cluster whose containers are scraped. The service runs in it, too."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.cluster_name))
    error_message = "This is a name, not an ARN."
  }
}

variable "tasks_on_instances" {
  description = "False where every task is on Fargate or in network mode awsvpc: finding those takes two permissions less."
  type        = bool
  default     = true
}

variable "application_security_group_id" {
  description = "Security group that Prometheus shall reach: the tasks', or the instances' where tasks are not in awsvpc mode."
  type        = string
}

variable "first_port" {
  description = "First port that Prometheus may reach there. Ports that ECS chooses on EC2 begin at 32768."
  type        = number
  default     = 1024
}

variable "last_port" {
  description = "Last port that Prometheus may reach there."
  type        = number
  default     = 65535
}

# Where it runs

variable "vpc_id" {
  description = "VPC of the tasks that are scraped."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets in that VPC with a way to AWS, to the images' registries and to ascent_host."
  type        = list(string)
}

variable "assign_public_ip" {
  description = "True in public subnets, false where a NAT gateway or VPC endpoints are the way out."
  type        = bool
  default     = false
}

# What it runs

variable "ecs_discovery_image" {
  description = "The image of ecs-discovery, as you pushed it."
  type        = string
}

variable "config_bucket" {
  description = "S3 bucket with prometheus.yml."
  type        = string
}

variable "cpu" {
  description = "CPU units of the task. Fargate takes only certain pairs of CPU and memory."
  type        = number
  default     = 512
}

variable "memory" {
  description = "Memory of the task, in MiB. Prometheus has all of it but 512, and needs more the more series there are."
  type        = number
  default     = 2048

  validation {
    condition     = var.memory >= 1024
    error_message = "The other containers have 512 MiB; Prometheus needs as much at the least."
  }
}

# Where metrics and logs go

variable "ascent_host" {
  description = "Host name of the vendor's endpoint for logs. (That for metrics is in prometheus.yml.)"
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9.-]+$", var.ascent_host))
    error_message = "This is a host name, without https:// and without a path."
  }
}

# The secret itself is never a variable: those end up in the state.
variable "secret_arn" {
  description = "ARN of the Secrets Manager secret with the keys remote_write_token and logs_authorization."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$", var.secret_arn))
    error_message = "This is the whole ARN, with the six characters that Secrets Manager has added to the name."
  }
}

variable "log_retention_in_days" {
  description = "For how long the logs of the log router are kept."
  type        = number
  default     = 30
}
