; What C++ has besides c.scm.

(this) @read
(namespace_identifier) @read
(qualified_identifier scope: (_) name: (identifier) @member)
(qualified_identifier scope: (_) name: (type_identifier) @member)
(qualified_identifier scope: (_) name: (template_type name: (type_identifier) @member))
(qualified_identifier scope: (_) name: (template_function name: (identifier) @member))
(qualified_identifier scope: (_) name: (qualified_identifier scope: (namespace_identifier) @member))
(qualified_identifier scope: (_) name: (qualified_identifier scope: (template_type name: (type_identifier) @member)))
(destructor_name (identifier) @type-name)
(field_initializer (field_identifier) @statement.initializer)

(namespace_definition name: (namespace_identifier) @define.namespace) @scope.namespace
(namespace_definition
  name: (nested_namespace_specifier (namespace_identifier) @define.namespace .)) @scope.namespace
(namespace_definition !name) @scope.block
(using_declaration) @statement.using
(namespace_alias_definition) @statement.alias
(alias_declaration name: (type_identifier) @define.type-alias) @body

(optional_parameter_declaration) @statement.parameter
(lambda_expression) @scope.function
(lambda_capture_initializer left: (identifier) @define.variable) @body

(template_declaration) @scope.type-parameters
(type_parameter_declaration (type_identifier) @define.type-parameter)
(variadic_type_parameter_declaration (type_identifier) @define.type-parameter)
(optional_type_parameter_declaration name: (type_identifier) @define.type-parameter)

(class_specifier body: (_)) @scope.class
(class_specifier name: (type_identifier) @define.class body: (_)) @scope.class
(translation_unit (class_specifier name: (type_identifier) @define.class !body) @body)
(declaration_list (class_specifier name: (type_identifier) @define.class !body) @body)
(declaration_list (struct_specifier name: (type_identifier) @define.struct !body) @body)
(struct_specifier name: (template_type name: (type_identifier) @owner) body: (_)) @scope.class
(class_specifier name: (template_type name: (type_identifier) @owner) body: (_)) @scope.class
(enum_specifier ["class" "struct"] name: (type_identifier) @define.enum body: (_)) @scope.class
(base_class_clause [(type_identifier) (template_type) (qualified_identifier)] @extends)

(for_range_loop) @statement.loop
(for_range_loop) @scope.block
(if_statement) @scope.block
(while_statement) @scope.block
(catch_clause) @scope.block

(new_expression type: (_) @class) @new
