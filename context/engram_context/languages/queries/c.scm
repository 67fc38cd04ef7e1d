; C, and what C++ has in common with it. Declarators nest in ways that no query can say: c.py reads declarations.

(comment) @comment

; names
(identifier) @read
(type_identifier) @type-name
(field_identifier) @member
(declaration
  type: (_) @of
  declarator: (init_declarator
    value: (initializer_list (initializer_pair designator: (field_designator (field_identifier) @key)))))

(preproc_include path: (_) @statement.include)
(preproc_def name: (identifier) @define.constant.file) @body
(preproc_function_def name: (identifier) @define.function) @scope.function
(preproc_params (identifier) @define.parameter)
(preproc_arg) @statement.macro

(declaration) @statement.declaration
(field_declaration) @statement.field
(parameter_declaration) @statement.parameter
(type_definition) @statement.typedef
(function_definition) @statement.function

; types
(struct_specifier body: (_)) @scope.class
(struct_specifier name: (type_identifier) @define.struct body: (_)) @scope.class
(translation_unit (struct_specifier name: (type_identifier) @define.struct !body) @body)
(union_specifier body: (_)) @scope.class
(union_specifier name: (type_identifier) @define.struct body: (_)) @scope.class
(translation_unit (union_specifier name: (type_identifier) @define.struct !body) @body)
(enum_specifier name: (type_identifier) @define.enum body: (_)) @body
(enumerator name: (identifier) @define.constant) @body

(compound_statement) @scope.block
(for_statement) @scope.block
(switch_statement) @scope.block

; what values are
(call_expression function: (_) @callee) @call
