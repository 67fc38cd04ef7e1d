; README.md explains the captures.

(comment) @comment

; names
(identifier) @read
(type_identifier) @type-name
(package_identifier) @read
(field_identifier) @member
(qualified_type name: (type_identifier) @member)
(keyed_element key: (literal_element (identifier) @key))
(composite_literal
  type: [(type_identifier) (qualified_type) (generic_type)] @of
  body: (literal_value (keyed_element key: (literal_element (identifier) @key))))

(package_clause (package_identifier) @define.module)
(import_spec) @statement.import

; functions and methods: a method stands in a scope of its receiver's type
(function_declaration name: (identifier) @define.function) @scope.function
(func_literal) @scope.function
(function_type) @scope.function
(method_declaration
  receiver: (parameter_list (parameter_declaration type: (_) @owner)) @begin
  name: (field_identifier) @define.method) @scope.class @until @body
(method_declaration
  receiver: (parameter_list (parameter_declaration
    type: (generic_type type_arguments: (type_arguments (type_elem (type_identifier) @define.type-parameter))))))
(method_declaration
  receiver: (parameter_list (parameter_declaration
    type: (pointer_type
      (generic_type type_arguments: (type_arguments (type_elem (type_identifier) @define.type-parameter)))))))
(parameter_declaration name: (identifier) @define.parameter) @body
(variadic_parameter_declaration name: (identifier) @define.parameter)
(type_parameter_declaration name: (identifier) @define.type-parameter)

; types
(type_spec name: (_) @define.type-alias) @scope.class
(type_spec name: (_) @define.struct type: (struct_type)) @scope.class
(type_spec name: (_) @define.interface type: (interface_type)) @scope.class
(type_alias name: (_) @define.type-alias) @body
(field_declaration name: (field_identifier) @define.attribute.member) @body
(field_declaration !name type: (_) @extends)
(interface_type (method_elem name: (field_identifier) @define.method.member) @scope.function)
(interface_type (type_elem . (_) @extends .))

; variables
(var_spec name: (identifier) @define.variable) @body
(const_spec name: (identifier) @define.constant) @body
(short_var_declaration left: (expression_list (identifier) @define.variable)) @body
(short_var_declaration
  left: (expression_list . (identifier) @define.variable) right: (expression_list . (_) @value .)) @body
(range_clause left: (expression_list (identifier) @define.variable) ":=") @body
(type_switch_statement alias: (expression_list (identifier) @define.variable) value: (_) @body)
(receive_statement left: (expression_list (identifier) @define.variable) ":=") @body

(block) @scope.block
(if_statement) @scope.block
(for_statement) @scope.block
(expression_switch_statement) @scope.block
(type_switch_statement) @scope.block
(expression_case) @scope.block
(type_case) @scope.block
(default_case) @scope.block
(communication_case) @scope.block

; what values are
(composite_literal type: (_) @class) @new
(call_expression function: (_) @callee) @call
