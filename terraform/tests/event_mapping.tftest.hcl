# Which mappings of events are refused, and that every form is taken. tests/variables has the variables alone.

variables {
  environment = "test"
  readers     = "public"
}

run "every_form_is_taken" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    event_mapping = {
      "com.example.course.completed" = { map = { user_id = "data.learner.id", program_id = "data.course" }, set = { kind = "learning_milestone" } }
      "Course Completed"             = { map = { user_id = "subject", program_id = "source", kind = "type", occurred_at = "time", "metadata.event id" = "id", points = "data.points" } }
      "t"                            = { set = { user_id = "jane.o'neil+hr@corp.example", program_id = "p", kind = "k", quantity = "12", "metadata.x" = "y" } }
    }
  }
}

run "fields_are_those_of_the_api" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    event_mapping = { t = { map = { user_id = "data.u", program_id = "data.p", team = "data.t" }, set = { kind = "k" } } }
  }
  expect_failures = [var.event_mapping]
}

run "an_activity_id_is_not_mapped" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    event_mapping = { t = { map = { user_id = "data.u", program_id = "data.p", activity_id = "id" }, set = { kind = "k" } } }
  }
  expect_failures = [var.event_mapping]
}

run "a_required_field_is_missing" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    event_mapping = { t = { map = { user_id = "data.u", program_id = "data.p" } } }
  }
  expect_failures = [var.event_mapping]
}

run "a_field_is_in_both" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    event_mapping = { t = { map = { user_id = "data.u", program_id = "data.p", kind = "type" }, set = { kind = "k" } } }
  }
  expect_failures = [var.event_mapping]
}

run "a_path_begins_with_data" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    event_mapping = { t = { map = { user_id = "learner.id", program_id = "data.p" }, set = { kind = "k" } } }
  }
  expect_failures = [var.event_mapping]
}

run "a_kind_is_one" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    event_mapping = { t = { map = { user_id = "data.u", program_id = "data.p" }, set = { kind = "Learning Milestone" } } }
  }
  expect_failures = [var.event_mapping]
}

run "a_user_is_an_id" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    event_mapping = { t = { map = { program_id = "data.p" }, set = { user_id = "~ann", kind = "k" } } }
  }
  expect_failures = [var.event_mapping]
}

run "a_time_is_not_set" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    event_mapping = { t = { map = { user_id = "data.u", program_id = "data.p" }, set = { kind = "k", occurred_at = "2026-11-21T09:30:00Z" } } }
  }
  expect_failures = [var.event_mapping]
}

run "points_are_a_number" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    event_mapping = { t = { map = { user_id = "data.u", program_id = "data.p" }, set = { kind = "k", points = "many" } } }
  }
  expect_failures = [var.event_mapping]
}

run "fields_are_at_most_20" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    event_mapping = { t = { map = merge({ for n in range(18) : "metadata.m${n}" => "data.m" }, { user_id = "data.u", program_id = "data.p" }), set = { kind = "k" } } }
  }
  expect_failures = [var.event_mapping]
}

run "it_fits_into_the_environment_of_a_function" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    event_mapping = { for n in range(30) : "com.example.event.of.a.type.with.number.${n}" => { map = { user_id = "data.u", program_id = "data.p" }, set = { kind = "k" } } }
  }
  expect_failures = [var.event_mapping]
}
