; What TypeScript has besides ecmascript.scm.

(type_identifier) @type-name
(nested_type_identifier name: (type_identifier) @member)
(nested_type_identifier module: (identifier) @type-name)
(nested_type_identifier module: (nested_identifier object: (identifier) @type-name))

; functions
(function_signature name: (identifier) @define.function) @scope.function
(class_body (method_signature name: (property_identifier) @define.method) @scope.function)
(class_body (abstract_method_signature name: (property_identifier) @define.method) @scope.function)
(interface_body (method_signature name: (property_identifier) @define.method) @scope.function)
(object_type (method_signature name: (property_identifier) @define.method) @scope.function)
(call_signature) @scope.function
(construct_signature) @scope.function
(function_type) @scope.function
(constructor_type) @scope.function
(required_parameter pattern: (_) @define.parameter) @body
(optional_parameter pattern: (_) @define.parameter) @body
(required_parameter [(accessibility_modifier) "readonly"] pattern: (identifier) @define.attribute.member) @body
(optional_parameter [(accessibility_modifier) "readonly"] pattern: (identifier) @define.attribute.member) @body

; types
(abstract_class_declaration name: (_) @define.class) @scope.class
(class_body (public_field_definition name: (property_identifier) @define.attribute) @body)
(class_body (public_field_definition name: (private_property_identifier) @define.attribute) @body)
(extends_clause value: (_) @extends)
(implements_clause (_) @extends)
(extends_type_clause type: (_) @extends)
(interface_declaration name: (_) @define.interface) @scope.class
(object_type) @scope.class
(type_alias_declaration name: (_) @define.type-alias) @scope.block
(type_alias_declaration value: [(type_identifier) (generic_type) (nested_type_identifier)] @extends)
(type_alias_declaration value: (intersection_type (_) @extends))
(interface_body (property_signature name: (property_identifier) @define.attribute) @body)
(object_type (property_signature name: (property_identifier) @define.attribute) @body)
(enum_declaration name: (_) @define.enum) @scope.class
(enum_body name: (property_identifier) @define.constant)
(enum_body (enum_assignment name: (property_identifier) @define.constant) @body)
(type_parameter name: (_) @define.type-parameter)
(mapped_type_clause name: (_) @define.type-parameter)
(index_signature) @scope.block
(index_signature name: (identifier) @define.parameter)
(conditional_type) @scope.block
(infer_type . (type_identifier) @define.type-parameter.block)

; namespaces
(internal_module name: (identifier) @define.namespace) @scope.namespace
(module name: (identifier) @define.namespace) @scope.namespace
(module name: (string)) @scope.namespace
