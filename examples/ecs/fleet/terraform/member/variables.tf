variable "central_account_id" {
  description = "The account that runs ecs-discovery."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.central_account_id))
    error_message = "This is an account id of 12 digits."
  }
}

variable "central_task_role_arn" {
  description = "Output task_role_arn of the module of ecs-discovery."
  type        = string
}

variable "external_id" {
  description = "The external id, as in the module of ecs-discovery."
  type        = string

  validation {
    condition     = length(var.external_id) >= 2
    error_message = "It has at least two characters."
  }
}

variable "list_clusters" {
  description = "False if the clusters are named one by one there, without globs: then ecs:ListClusters is not needed."
  type        = bool
  default     = true
}

variable "cluster_pattern" {
  description = "Names of the clusters that can be read, with * for any run of characters."
  type        = string
  default     = "*"
}

variable "tags" {
  description = "Tags of the role."
  type        = map(string)
  default     = {}
}
