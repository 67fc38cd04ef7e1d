; README.md explains the captures.

(line_comment) @comment
(block_comment) @comment

; names
(identifier) @read
(type_identifier) @type-name
(this) @read
(super) @read
(field_access field: (identifier) @member)
(method_invocation object: (_) name: (identifier) @member)
(method_invocation !object name: (identifier) @call-name)
(method_reference . (_) (identifier) @member .)
(scoped_type_identifier (_) . (type_identifier) @member)
(annotation name: (identifier) @type-name)
(marker_annotation name: (identifier) @type-name)
(element_value_pair key: (identifier) @key)
(labeled_statement . (identifier) @ignore)
(break_statement (identifier) @ignore)
(continue_statement (identifier) @ignore)

(package_declaration [(identifier) (scoped_identifier)] @statement.package)
(import_declaration) @statement.import

; types
(class_declaration name: (identifier) @define.class) @scope.class
(interface_declaration name: (identifier) @define.interface) @scope.class
(annotation_type_declaration name: (identifier) @define.interface) @scope.class
(enum_declaration name: (identifier) @define.enum) @scope.class
(record_declaration name: (identifier) @define.class) @scope.class
(record_declaration
  parameters: (formal_parameters (formal_parameter name: (identifier) @define.attribute) @body))
(superclass (_) @extends)
(super_interfaces (type_list (_) @extends))
(extends_interfaces (type_list (_) @extends))
(object_creation_expression type: (_) @owner (class_body) @scope.class)
(type_parameter (type_identifier) @define.type-parameter)
(enum_constant name: (identifier) @define.constant) @body
(enum_constant body: (class_body) @scope.class)

; members
(method_declaration name: (identifier) @define.method) @scope.function
(annotation_type_element_declaration name: (identifier) @define.method) @body
(constructor_declaration name: (identifier) @type-name) @scope.function
(compact_constructor_declaration name: (identifier) @type-name) @scope.function
(field_declaration
  type: (_) @type declarator: (variable_declarator name: (identifier) @define.attribute value: (_)? @value)) @body
(constant_declaration
  type: (_) @type declarator: (variable_declarator name: (identifier) @define.constant value: (_)? @value)) @body

; variables
(local_variable_declaration
  type: (_) @type declarator: (variable_declarator name: (identifier) @define.variable value: (_)? @value)) @body
(formal_parameter name: (identifier) @define.parameter) @body
(spread_parameter (variable_declarator name: (identifier) @define.parameter))
(lambda_expression) @scope.function
(lambda_expression parameters: (identifier) @define.parameter)
(inferred_parameters (identifier) @define.parameter)
(catch_formal_parameter (catch_type) @type name: (identifier) @define.variable)
(enhanced_for_statement type: (_) @type name: (identifier) @define.variable)
(resource name: (identifier) @define.variable) @body
(instanceof_expression right: (_) @type name: (identifier) @define.variable)
(type_pattern (_) @type (identifier) @define.variable)
(record_pattern_component (_) @type (identifier) @define.variable)

(block) @scope.block
(constructor_body) @scope.block
(for_statement) @scope.block
(enhanced_for_statement) @scope.block
(try_with_resources_statement) @scope.block
(catch_clause) @scope.block
(switch_block_statement_group) @scope.block
(switch_rule) @scope.block

; what values are
(object_creation_expression type: (_) @class) @new
(method_invocation name: (identifier) @callee) @call
(method_reference . (_) (identifier) @callee .) @call
