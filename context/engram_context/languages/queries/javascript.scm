; What plain JavaScript has besides ecmascript.scm.

(class_body (field_definition property: (property_identifier) @define.attribute) @body)
(class_body (field_definition property: (private_property_identifier) @define.attribute) @body)
(class_heritage (_) @extends)
(formal_parameters (_) @define.parameter)
(assignment_expression
  left: (member_expression object: (this) property: (property_identifier) @define.attribute.member)) @body
