variable "name" {
  description = "Name of every resource that this module creates. Use a different one per scraped cluster."
  type        = string
  default     = "ecs-prometheus"
}

# What is scraped

variable "cluster_name" {
  description = "Name of the ECS cluster whose containers are scraped. The service also runs in it."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.cluster_name))
    error_message = "This is a name, not an ARN."
  }
}

variable "tasks_on_instances" {
  description = "False if every task runs on Fargate or in network mode awsvpc: discovering those needs two permissions less."
  type        = bool
  default     = true
}

variable "application_security_group_id" {
  description = "Security group that Prometheus must reach: the tasks', or the instances' if tasks are not in awsvpc mode."
  type        = string
}

variable "first_port" {
  description = "First port that Prometheus may reach there. Ports that ECS assigns on EC2 start at 32768."
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
  description = "VPC of the scraped tasks."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets in that VPC that can reach AWS, the image registries and ascent_host."
  type        = list(string)
}

variable "assign_public_ip" {
  description = "True in public subnets, false if the subnets use a NAT gateway or VPC endpoints."
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
  description = "CPU units of the task. Fargate supports only certain combinations of CPU and memory."
  type        = number
  default     = 512
}

variable "memory" {
  description = "Memory of the task, in MiB. Prometheus gets all but 512 of it; its need grows with the number of series."
  type        = number
  default     = 2048

  validation {
    condition     = var.memory >= 1024
    error_message = "The other containers get 512 MiB, and Prometheus needs at least as much."
  }
}

# Where metrics and logs go

variable "ascent_host" {
  description = "Host name of the vendor's endpoint for logs. (The one for metrics is in prometheus.yml.)"
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9.-]+$", var.ascent_host))
    error_message = "This is a host name, without https:// and without a path."
  }
}

# The secret itself is not a variable, because variables are stored in the state.
variable "secret_arn" {
  description = "ARN of the Secrets Manager secret with the keys remote_write_token and logs_authorization."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$", var.secret_arn))
    error_message = "This is the complete ARN, with the six characters that Secrets Manager appends to the name."
  }
}

variable "log_retention_in_days" {
  description = "Retention of the log router's logs, in days."
  type        = number
  default     = 30
}
