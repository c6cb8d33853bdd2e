variable "name" {
  description = "Name of every resource that this module creates. Use a different one for each instance of this module."
  type        = string
  default     = "ecs-prometheus"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,50}$", var.name))
    error_message = "This is a name of up to 50 letters, digits, hyphens and underscores."
  }
}

variable "tags" {
  description = "Tags of every resource that this module creates, and of the task."
  type        = map(string)
  default     = {}
}

# What is scraped

variable "cluster_arns" {
  description = "ARNs of the ECS clusters to scan. Empty for all clusters of the region."
  type        = list(string)

  validation {
    condition     = length([for arn in var.cluster_arns : arn if can(regex("^arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]{1,255}$", arn)) == false]) == 0
    error_message = "These are ARNs of clusters, not names."
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

  validation {
    condition     = can(regex("^sg-[0-9a-z]+$", var.application_security_group_id))
    error_message = "This is the ID of a security group."
  }
}

variable "first_port" {
  description = "First port that Prometheus may reach there. Ports that ECS assigns on EC2 are 32768 to 65535."
  type        = number

  validation {
    condition     = var.first_port >= 1 && var.first_port <= 65535
    error_message = "This is a port."
  }
}

variable "last_port" {
  description = "Last port that Prometheus may reach there."
  type        = number

  validation {
    condition     = var.last_port >= 1 && var.last_port <= 65535
    error_message = "This is a port."
  }
}

# Where it runs

variable "service_cluster" {
  description = "Name of the ECS cluster in which the service runs. It need not be one of the scanned clusters."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.service_cluster))
    error_message = "This is a name, not an ARN."
  }
}

variable "vpc_id" {
  description = "VPC of the scraped tasks."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets in that VPC that can reach AWS, the image registries and the receiver."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "At least one subnet is required."
  }
}

variable "assign_public_ip" {
  description = "True in public subnets, false if the subnets use a NAT gateway or VPC endpoints."
  type        = bool
  default     = false
}

variable "wait_for_steady_state" {
  description = "Whether apply waits until the new task runs, and fails if it does not."
  type        = bool
  default     = true
}

# What it runs

variable "ecs_discovery_image" {
  description = "The image of ecs-discovery, as you pushed it."
  type        = string
}

variable "prometheus_image" {
  description = "The image of Prometheus. The defaults of the images are in registries that need no login."
  type        = string
  default     = "quay.io/prometheus/prometheus:v3.13.2"
}

variable "config_image" {
  description = "The image of the AWS CLI, which fetches prometheus.yml."
  type        = string
  default     = "public.ecr.aws/aws-cli/aws-cli:2.36.14"
}

variable "log_router_image" {
  description = "The image of Fluent Bit, which runs if logs is ascent."
  type        = string
  default     = "public.ecr.aws/aws-observability/aws-for-fluent-bit:3.2.2"
}

variable "cpu_architecture" {
  description = "The architecture that the image of ecs-discovery was built for. The others have both."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "This is X86_64 or ARM64."
  }
}

variable "cpu" {
  description = "CPU units of the task. Fargate supports only certain combinations of CPU and memory."
  type        = number
  default     = 512

  validation {
    condition     = contains([512, 1024, 2048, 4096], var.cpu)
    error_message = "This is 512, 1024, 2048 or 4096."
  }
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

variable "config_bucket" {
  description = "S3 bucket with prometheus.yml."
  type        = string
}

variable "config_key" {
  description = "Key of prometheus.yml in that bucket. Upload each version under a key of its own, so that a rollback gets the version that it had."
  type        = string

  validation {
    condition     = can(regex("^prometheus-[A-Za-z0-9._-]+\\.yml$", var.config_key))
    error_message = "This is prometheus-VERSION.yml."
  }
}

# Where metrics go

variable "backend" {
  description = "The receiver of the metrics, whose address is in prometheus.yml: ascent, amp (Amazon Managed Service for Prometheus; the task role may write to workspace_id), basic-auth or bearer-token."
  type        = string
  default     = "ascent"

  validation {
    condition     = contains(["ascent", "amp", "basic-auth", "bearer-token"], var.backend)
    error_message = "This is ascent, amp, basic-auth or bearer-token."
  }
}

# The secret itself is not a variable, because variables are stored in the state.
variable "secret_arn" {
  description = "ARN of the Secrets Manager secret with the keys remote_write_token (unless backend is amp) and logs_authorization (if logs is ascent)."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6})?$", var.secret_arn))
    error_message = "This is the complete ARN, with the six characters that Secrets Manager appends to the name."
  }
}

variable "workspace_id" {
  description = "The workspace in this account and region, if backend is amp."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(ws-[A-Za-z0-9-]+)?$", var.workspace_id))
    error_message = "This is the ID of a workspace, not its ARN."
  }
}

variable "receiver_port" {
  description = "Port of the receiver in prometheus.yml, which the security group allows besides 443."
  type        = number
  default     = 443
}

variable "ca_certificates" {
  description = "Certificates of a private CA in PEM format, for tls_config in prometheus.yml (/config/ca.pem) and for the log router. Empty if the receivers have public certificates."
  type        = string
  default     = ""
}

# Where logs and events go

variable "logs" {
  description = "Where the logs of ecs-discovery and Prometheus go: to ascent through a log router, or to cloudwatch without one."
  type        = string
  default     = "ascent"

  validation {
    condition     = contains(["ascent", "cloudwatch"], var.logs)
    error_message = "This is ascent or cloudwatch."
  }
}

variable "ascent_host" {
  description = "Host name of Ascent, if logs is ascent. (The one for metrics is in prometheus.yml.)"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[A-Za-z0-9.-]*$", var.ascent_host))
    error_message = "This is a host name, without https:// and without a path."
  }
}

variable "log_retention_in_days" {
  description = "Retention of the logs in CloudWatch, in days."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 180, 365, 731, 1827, 3653], var.log_retention_in_days)
    error_message = "CloudWatch has only certain retentions, such as 7, 30, 90 and 365 days."
  }
}

variable "keep_log_group" {
  description = "Whether destroy leaves the log group. (A failed apply destroys nothing.)"
  type        = bool
  default     = false
}

variable "stopped_task_topic_arn" {
  description = "SNS topic that is told when the task fails to start or one of its containers fails. Its policy must allow events.amazonaws.com to publish. Empty for none."
  type        = string
  default     = ""
}
