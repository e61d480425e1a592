# SPDX-License-Identifier: Apache-2.0
# ROS 2 packages from Python wheels export include directories of the machine that built them, and
# CMake refuses an imported target that names a directory which does not exist. At the end of the
# directory, when every find_package() has run, drop those. On an ordinary ROS 2 install each
# directory exists, and nothing is changed.
function(hpe_vlm_ros_drop_missing_include_dirs)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT directories)
      continue()
    endif()
    set(kept ${directories})
    foreach(directory IN LISTS directories)
      if(IS_ABSOLUTE "${directory}" AND NOT EXISTS "${directory}")
        list(REMOVE_ITEM kept "${directory}")
      endif()
    endforeach()
    if(NOT kept STREQUAL directories)
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${kept}")
    endif()
  endforeach()
endfunction()

cmake_language(DEFER CALL hpe_vlm_ros_drop_missing_include_dirs)
